"""Commands of the person's own that are run before and after tools, and where sessions begin and end."""
