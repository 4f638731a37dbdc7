"""Skills: folders with a SKILL.md, by which a person teaches the agent a kind of work."""
