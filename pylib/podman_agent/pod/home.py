"""Which home directory this user has: an arbitrary uid, as OpenShift gives one, is told `/`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGES = Path("/home/jenkins")  # of the image's own user; group 0 may write it, and an arbitrary uid is of group 0


def replacement(env: Mapping[str, str], uid: int, images: Path = IMAGES) -> str:
    """What HOME is to be instead of what it is; empty where it is right, or where nothing better is there.

    A runtime gives a uid that /etc/passwd does not know `/` for its home
    (https://github.com/opencontainers/runc/blob/v1.2.0/libcontainer/init_linux.go, setupUser).

    Args:
        env: The environment.
        uid: The effective user.
        images: The home of the image's user.
    """
    if uid == 0 or env.get("HOME", "/") != "/" or os.access("/", os.W_OK) or not os.access(images, os.W_OK):
        return ""
    return str(images)
