"""Pictures that are drawn by a server."""
