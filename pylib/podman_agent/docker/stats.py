"""``docker stats`` on cgroup v1, where a pod sees the node's cgroup paths but its own subtree.

Podman then looks for a path that is not there (``cgroup deleted``). In a cgroup namespace of its
own the paths of /proc/PID/cgroup begin at the pod (cgroup_namespaces(7)).
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from podman_agent.docker.call import Call

_CLONE_NEWCGROUP = 0x02000000  # linux/sched.h; os.unshare is in Python 3.12 and later only


def run(call: Call, _verb: str, args: list[str]) -> NoReturn:
    """Become ``podman stats``, in a cgroup namespace where cgroups are version 1."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        # Without CAP_SYS_ADMIN it fails, and podman says what it has to say.
        ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWCGROUP)
    call.become("stats", *args)
