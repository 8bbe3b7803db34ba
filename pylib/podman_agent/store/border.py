"""The border of trust on a shared volume: the part of it, ``LEVEL/TEAM``, that a pod mounts by ``subPath``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from podman_agent.errors import ConfigError
from podman_agent.pod.values import TrustLevel

LEVELS: tuple[TrustLevel, ...] = get_args(TrustLevel)


def level_of(flavour: str) -> TrustLevel:
    """The trust level of the pods whose stores have this flavour (`settings.flavour`)."""
    kind = flavour.partition("-")[0]
    return "privileged" if kind == "root" else "userns" if kind == "userns" else "unprivileged"


def check_mounted(volume: Path, flavour: str, mountinfo: Path = Path("/proc/self/mountinfo")) -> None:
    """Refuse the part of another trust level: what one level can write the other would run.

    Args:
        volume: Where the pod has its volume.
        flavour: The pod's own.
        mountinfo: The mounts of this process (proc_pid_mountinfo(5)); a ``subPath`` is the end of the fourth field.

    Raises:
        ConfigError: The pod mounts ``LEVEL/TEAM`` and is of another level.
    """
    rows = (line.split() for line in mountinfo.read_text(encoding="utf-8", errors="replace").splitlines())
    mounted = [row[3] for row in rows if row[4] == str(volume)]
    *_, level, team = ["", "", *mounted[-1].split("/")] if mounted else ["", ""]
    own = level_of(flavour)
    if level in LEVELS and level != own:
        what = f"the volume at {volume} is the part {level}/{team}, and this pod is {own}"
        why = "a pod must not run what pods of another trust level can write, nor write what they run"
        raise ConfigError(what, why, f"subPath: {own}/{team}")
