"""Room on a file system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podman_agent.pod.sizes import size_text

if TYPE_CHECKING:
    from pathlib import Path

_LOW = 0.05


@dataclass(frozen=True)
class Space:
    """Room on a file system, in bytes."""

    total: int
    free: int

    @property
    def low(self) -> bool:
        """Whether the next build is likely to meet a full volume."""
        return self.free < self.total * _LOW

    @property
    def text(self) -> str:
        """One clause for a person."""
        return f"{size_text(self.free)} of {size_text(self.total)} free"


def space(volume: Path) -> Space:
    """What is left for this user on the volume."""
    there = next(path for path in (volume, *volume.parents) if path.exists())
    stat = os.statvfs(there)
    return Space(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize)
