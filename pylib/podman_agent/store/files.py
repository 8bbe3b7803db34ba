"""Small files on a cache volume, replaced in one step and left to the user whose they are."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import TYPE_CHECKING, Any

from podman_agent.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


def token() -> str:
    """A name that nobody else takes."""
    return os.urandom(16).hex()


def write_json(path: Path, value: object, *, sync: bool = True) -> None:
    """Replace a JSON file in one step; it keeps its owner and mode, a new one is its directory's owner's alone.

    So garbage collection as root leaves the store of another user readable to that user.

    Args:
        path: The file.
        value: What to write.
        sync: Whether it must survive a crash of the node at once; costs milliseconds.

    Raises:
        OSError: The volume is full, or the file is another user's and cannot be given to that user (no CHOWN); the
            old file is untouched then.
    """
    aside = path.with_name(f".tmp-{path.name}-{token()}")
    try:
        with aside.open("x", encoding="utf-8") as file:
            try:
                old = os.lstat(path)
                mode = old.st_mode & 0o777
            except FileNotFoundError:
                old, mode = os.lstat(path.parent), 0o600
            give(file.fileno(), old)
            os.fchmod(file.fileno(), mode)
            json.dump(value, file, separators=(",", ":"))
            if sync:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
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


def read_json(path: Path) -> Any:
    """The parsed file, None when there is none.

    Raises:
        DataError: The file is torn.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        what = f"{path} is torn"
        raise DataError(what, str(error)) from error
