"""What podman may do with user ids in this pod: the question that tells the pod shapes apart, asked in one place.

The plan asks it of recorded facts, a claim asks it of the process before there are any. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.pod.capabilities import includes

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from podman_agent.pod.capabilities import Capability
    from podman_agent.pod.values import IdMode

WHOLE_UID_RANGE = 4294967295


def is_nodes_own(uid_map: Iterable[tuple[int, int, int]]) -> bool:
    """Whether ids are the node's own, and not those of a user namespace as with hostUsers: false.

    Args:
        uid_map: The rows of /proc/self/uid_map (user_namespaces(7)).
    """
    return any(count == WHOLE_UID_RANGE for _, _, count in uid_map)


def id_mode(
    uid: int,
    *,
    capabilities: Container[Capability],
    nodes_own: bool,
    no_new_privs: bool,
    user_namespace: Callable[[], str],
    subordinate_ids: Callable[[], int],
) -> IdMode:
    """Name what podman may do with ids.

    Args:
        uid: Whose process it is.
        capabilities: What it has in force.
        nodes_own: As `is_nodes_own` says.
        no_new_privs: newuidmap gets no capability from its file.
        user_namespace: The trial to make one; empty when it works.
        subordinate_ids: How many ids /etc/subuid gives it.

    Returns:
        root: podman is root; mapped: it maps a range of ids; single: it maps one; none: no namespace can be made.
    """
    if not uid and includes(capabilities, "SYS_ADMIN"):
        return "root"
    if user_namespace():
        return "none"
    if not uid:
        set_ids = includes(capabilities, "SETUID", "SETGID")
        return "mapped" if set_ids and (nodes_own or subordinate_ids()) else "single"
    return "mapped" if not no_new_privs and subordinate_ids() else "single"
