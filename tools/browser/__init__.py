"""A browser for one task: a Chromium here or one elsewhere, driven through the agent-browser CLI."""
