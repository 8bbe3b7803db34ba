"""The first call of a container: claim, look, decide, write. The one place with effects."""
