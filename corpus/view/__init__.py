"""One self-contained page on which a person reads rows and sessions before anyone trains on them."""
