"""Where the cache volume is: one answer for the plan, the commands and the pod templates."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.pod import variables
from podman_agent.pod.home import replacement

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = Path("/var/lib/containers")

# where a runtime keeps a directory for a VOLUME of the image that the pod mounts nothing at: containerd's
# internal/cri/server/container_create.go (volumeMounts), and podman's anonymous volumes; CRI-O mounts none
_IMAGES_OWN = re.compile(r"/io\.containerd\.[^/]*cri[^/]*/containers/[^/]+/volumes/|/[0-9a-f]{64}/_data$")


def volume(env: Mapping[str, str], uid: int) -> Path:
    """Where the stores of this user are in this container.

    Args:
        env: The environment: PODMAN_AGENT_VOLUME, else HOME.
        uid: The effective user.

    Returns:
        PODMAN_AGENT_VOLUME; else podman's own place where it may be written (root is told when it may not, another
        user may never have been meant to have it); else the user's home; else a directory below /tmp.
    """
    if chosen := variables.VOLUME.read(env):
        return Path(chosen)
    if uid == 0 or os.access(existing_ancestor(DEFAULT), os.W_OK):
        return DEFAULT
    home = Path(replacement(env, uid) or env.get("HOME") or "/nonexistent") / ".local/share/containers"
    if os.access(existing_ancestor(home), os.W_OK):
        return home
    return Path(f"/tmp/podman-agent-{uid}/containers")


def existing_ancestor(path: Path) -> Path:
    """Return `path` or the nearest directory above it that is there, as far as this user may see."""
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110 - Path.exists raises where it may not look
        path = path.parent
    return path


def passed_over(env: Mapping[str, str], uid: int, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The volume that the pod mounts for a store, and `volume` does not take because this user cannot write it.

    Args:
        env: The environment.
        uid: The effective user.
        mounts: The mounts of this process (proc_pid_mountinfo(5)).

    Returns:
        Where it is mounted; empty where there is none, or only the directory that a runtime makes for the image.
    """
    if uid == 0 or variables.VOLUME.read(env) or os.access(DEFAULT, os.W_OK):
        return ""
    rows = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    roots = [row[3] for row in rows if row[4] == str(DEFAULT)]
    return str(DEFAULT) if roots and not _IMAGES_OWN.search(roots[-1]) else ""
