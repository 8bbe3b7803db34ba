"""``docker compose`` and ``docker-compose``: docker's own plugin on our socket, or podman-compose.

Docker's plugin passes more of the compose test (docs/reference/docker.md has the table); podman-compose is
what is left where no package of it exists.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker import socket
from podman_agent.errors import EngineMissingError

if TYPE_CHECKING:
    from typing import NoReturn

    from podman_agent.docker.call import Call

# https://github.com/docker/cli/blob/master/cli-plugins/manager/manager_unix.go, and Debian's.
_PLUGIN_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def provider(env: dict[str, str]) -> list[str]:
    """The argv of the compose to use.

    Args:
        env: ``PODMAN_COMPOSE_PROVIDER`` names one, as for ``podman compose``.

    Returns:
        Program and first arguments.

    Raises:
        EngineMissingError: There is none.
    """
    if named := env.get("PODMAN_COMPOSE_PROVIDER"):
        return [named]
    personal = Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME", "/root")) / ".docker")
    for directory in (str(personal / "cli-plugins"), *_PLUGIN_DIRECTORIES):
        plugin = Path(directory) / "docker-compose"
        if os.access(plugin, os.X_OK):
            return [str(plugin)]
    if found := shutil.which("podman-compose", path=env.get("PATH")):
        return [found]
    beside = Path(__file__).resolve().parents[5] / "bin" / "podman-compose"  # the venv's, when installed
    if os.access(beside, os.X_OK):
        return [str(beside)]
    msg = "there is no compose"
    raise EngineMissingError(msg, fix="install docker-compose or podman-compose")


def run(call: Call, _verb: str, args: list[str]) -> NoReturn:
    """Become compose; docker's needs the API socket.

    Args:
        call: The docker call.
        args: What follows ``compose``.
    """
    program = provider(call.env)
    env = dict(call.env)
    if "podman-compose" not in Path(program[0]).name:
        socket.ensure(call)
        env["DOCKER_HOST"] = f"unix://{socket.PATH}"
        env.setdefault("DOCKER_BUILDKIT", "0")
    env["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "1"
    os.execve(program[0], [*program, *args], env)  # noqa: S606
