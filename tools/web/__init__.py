"""What the web tools are made of: who searches and reads, how a page becomes text, what of it is shown."""
