"""What cannot be had on podman: one line that names the verb and what to use instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.errors import RefusalError

if TYPE_CHECKING:
    from typing import NoReturn

    from podman_agent.docker.call import Call

_SWARM = ("podman is no swarm", "deploy with kubectl, or run it here with docker compose")
INSTEAD: dict[str, tuple[str, str]] = {
    "swarm": _SWARM,
    "service": _SWARM,
    "stack": _SWARM,
    "node": _SWARM,
    "config": ("podman is no swarm", "mount a file, or use docker secret"),
    "plugin": ("podman has no plugins", "use the driver local"),
    "trust": ("podman has no notary", "sign with cosign or podman push --sign-by"),
    "scout": ("it is a service of Docker Inc", "scan with trivy or grype"),
    "sbom": ("it is a plugin of Docker Inc", "use syft or trivy"),
    "init": ("it is a part of Docker Desktop", "write the Dockerfile"),
    "debug": ("it is a part of Docker Desktop", "use docker exec or podman debug tools"),
    "desktop": ("it is a part of Docker Desktop", "nothing replaces it here"),
    "extension": ("it is a part of Docker Desktop", "nothing replaces it here"),
    "model": ("it is a part of Docker Desktop", "nothing replaces it here"),
    "mcp": ("it is a part of Docker Desktop", "nothing replaces it here"),
    "offload": ("it is a service of Docker Inc", "builds run in this pod"),
    "app": ("it has been withdrawn", "use docker compose"),
    "checkpoint": ("podman has it elsewhere", "use podman container checkpoint"),
}


def run(_call: Call, verb: str, _args: list[str]) -> NoReturn:
    """Refuse, with exit code 125, which docker uses for errors of its own.

    Raises:
        RefusalError: Always.
    """
    why, fix = INSTEAD[verb]
    msg = f"'{verb}' cannot be had on podman"
    raise RefusalError(msg, why, fix)


def host(value: str) -> NoReturn:
    """Refuse another engine.

    Raises:
        RefusalError: Always.
    """
    msg = f"DOCKER_HOST={value} is another engine"
    raise RefusalError(
        msg,
        "docker here is the podman of this pod",
        "unset it, or for a remote podman set CONTAINER_HOST",
    )
