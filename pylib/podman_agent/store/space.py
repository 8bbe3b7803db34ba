"""Room on a file system: bytes, and the inodes that every file and directory of an image takes one of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podman_agent.pod.sizes import size_text
from podman_agent.pod.volume import existing_ancestor

if TYPE_CHECKING:
    from pathlib import Path

_LOW = 0.05


@dataclass(frozen=True)
class Space:
    """Room on a file system.

    Attributes:
        total: Bytes.
        free: Bytes this user may still write.
        inodes: Files and directories there can be; 0 where their number has no limit (btrfs).
        inodes_free: How many more there can be.
    """

    total: int
    free: int
    inodes: int = 0
    inodes_free: int = 0

    @property
    def low(self) -> bool:
        """Whether the next build is likely to meet a full volume."""
        return self.free < self.total * _LOW or self.inodes_low

    @property
    def inodes_low(self) -> bool:
        """Whether files run out, however many bytes are free."""
        return self.inodes_free < self.inodes * _LOW

    @property
    def text(self) -> str:
        """One clause for a person."""
        text = f"{size_text(self.free)} of {size_text(self.total)} free"
        return f"{text}, {self.inodes_free} of {self.inodes} inodes free" if self.inodes_low else text


def space(volume: Path) -> Space:
    """What is left for this user on the volume."""
    stat = os.statvfs(existing_ancestor(volume))
    return Space(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize, stat.f_files, stat.f_favail)
