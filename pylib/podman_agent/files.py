"""Replace a file whole: the one writer of files that somebody may read, or a crash may cut off, meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
ASIDE = ".tmp-"  # how the name of a file that was not finished begins


def token() -> str:
    """A name that nobody else takes."""
    return os.urandom(16).hex()


def replace(
    path: Path | str,
    data: bytes | str,
    *,
    mode: int = 0o644,
    sync: bool = True,
    like: os.stat_result | None = None,
    dir_fd: int | None = None,
) -> None:
    """Put a file in its place in one step: a reader finds the old one or the new one, whole.

    Args:
        path: The file; its directory must be there.
        data: Bytes, or text that is written as UTF-8.
        mode: Its permissions, whatever the umask.
        sync: Whether a crash of the node must not find the name without the bytes; costs milliseconds.
        like: Whose file it is to be: the owner and group of this one, where they are not ours anyway.
        dir_fd: The directory that a relative `path` begins at.

    Raises:
        OSError: As the file system says; the old file is untouched then, and nothing is left beside it.
    """
    path = os.fspath(path)
    aside = f"{path[: path.rfind('/') + 1]}{ASIDE}{token()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(aside, flags, 0o600, dir_fd=dir_fd)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            if like is not None:
                give(fd, like)
            os.fchmod(fd, mode)
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            if sync:
                file.flush()
                os.fsync(fd)
        os.rename(aside, path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside, dir_fd=dir_fd)
        raise


def give(fd: int, like: os.stat_result) -> None:
    """Give an open file that this process made to the owner of another one.

    Raises:
        PermissionError: It would belong to another user, and this process has no CHOWN.
    """
    made = os.fstat(fd)
    if made.st_uid != like.st_uid:
        os.fchown(fd, like.st_uid, like.st_gid)
    elif made.st_gid != like.st_gid:
        with contextlib.suppress(PermissionError):
            os.fchown(fd, -1, like.st_gid)
