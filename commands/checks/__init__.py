"""What `hermes doctor` looks at. A check yields its findings as it makes them, and changes nothing."""
