"""Shell commands read and judged: what the gate tells a person about them. It is not a wall."""
