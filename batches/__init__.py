"""Many prompts to many trajectories: what one prompt needs, where results go, and who does the work."""
