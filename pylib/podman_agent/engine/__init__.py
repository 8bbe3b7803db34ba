"""Podman, typed: the library. What is not named here is private to this package."""

from podman_agent.engine.engine import Engine
from podman_agent.engine.events import Event
from podman_agent.engine.options import BuildOptions
from podman_agent.engine.service import service

__all__ = ["BuildOptions", "Engine", "Event", "service"]
