"""What a session can be written as: one module for each format, listed in `trajectories.formats.registry`."""
