"""A line in /etc/passwd for an arbitrary uid, which no image can have: without one `whoami` and ssh fail."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# as in OpenShift's guide to images for arbitrary user ids; /etc/subuid has no line for it, so it maps nothing
NAME = "default"


def give_a_name(uid: int, gid: int, home: str, passwd: Path = Path("/etc/passwd")) -> bool:
    """Name this user, where nothing does and the file may be written (the image's is of group 0, as such a uid is).

    Args:
        uid: The effective user id.
        gid: The effective group id.
        home: The home directory to be written down.
        passwd: The file, passwd(5).

    Returns:
        Whether a line was added. Nothing is raised: a read-only root file system stays as it is.
    """
    with contextlib.suppress(OSError):
        text = passwd.read_text(encoding="utf-8", errors="surrogateescape")
        rows = [line.split(":") for line in text.splitlines()]
        if any(len(row) > 2 and (row[2] == str(uid) or row[0] == NAME) for row in rows):
            return False
        line = f"{NAME}:x:{uid}:{gid}:Jenkins agent:{home}:/bin/bash\n"
        fd = os.open(passwd, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return os.write(fd, ("" if text.endswith("\n") or not text else "\n").encode() + line.encode()) > 0
        finally:
            os.close(fd)
    return False
