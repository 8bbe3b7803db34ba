"""Skopeo as a child: what podman itself cannot do to a registry."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from podman_agent.errors import EngineMissingError

if TYPE_CHECKING:
    from podman_agent.docker.call import Call


def _argv(call: Call, args: tuple[str, ...]) -> list[str]:
    found = shutil.which("skopeo", path=call.env.get("PATH"))
    if not found:
        msg = "skopeo is not installed"
        raise EngineMissingError(msg, fix="install the skopeo package")
    return [found, *args]


def skopeo(call: Call, *args: str) -> int:
    """Run skopeo with our streams; its exit code."""
    return subprocess.run(_argv(call, args), env=call.env, check=False).returncode


def skopeo_read(call: Call, *args: str) -> tuple[int, bytes]:
    """Run skopeo; its exit code and its stdout."""
    done = subprocess.run(_argv(call, args), env=call.env, stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout
