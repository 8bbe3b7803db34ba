"""A docker build before podman sees it: the Dockerfile's syntax, and what has to be said to podman in other words."""
