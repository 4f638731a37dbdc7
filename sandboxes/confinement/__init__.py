"""Hosts on this machine that the kernel confines: bubblewrap, Landlock."""
