"""The time as stores record it."""

from __future__ import annotations

import time
from pathlib import Path


def now() -> float:
    """Unix time; the one clock of this package, so that tests can set it."""
    return time.time()


def boot_id() -> str:
    """The kernel's name for the time since the node last booted (proc_sys_kernel(5))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
