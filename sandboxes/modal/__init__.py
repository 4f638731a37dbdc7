"""Hosts and pools at Modal."""
