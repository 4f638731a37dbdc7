"""Hosts in containers: docker, podman, Apptainer."""
