"""Python that calls the agent's tools: what runs inside the sandbox, and how its calls come out of it."""
