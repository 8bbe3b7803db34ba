"""The disk that everything measured is on: an ext4 of its own, in a mount namespace of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import host
import outer
from podman_agent.pod import trials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES = 45 << 30  # sparse


@contextlib.contextmanager
def own() -> Iterator[Path]:
    """A directory on a file system with a journal, as a node has; gone afterwards.

    The machine's own may have none, and then ext4 passes over every inode deleted within the last minutes, one by one
    (recently_deleted() in fs/ext4/ialloc.c): a build that copies 4,000 files took 3 to 7 s, depending on who had been
    there before.

    Raises:
        OuterError: No loop device can be mounted here.
        OSError: No mount namespace can be made here.
    """
    host.ensure("ext4")
    trials.unshare(trials.CLONE_NEWNS)
    trials.private_mounts()
    with outer.scratch("bench") as place:
        image, work = place / "disk", place / "work"
        work.mkdir()
        with image.open("wb") as file:
            file.truncate(BYTES)
        outer.run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-i", "32768", str(image))
        outer.run("mount", "-o", "loop,noatime", str(image), str(work))
        try:
            yield work
        finally:
            outer.run("umount", "--lazy", str(work), check=False)
