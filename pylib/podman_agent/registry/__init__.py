"""Registries over HTTP with the credentials podman would use, and what is worth another attempt."""
