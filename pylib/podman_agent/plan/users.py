"""What podman may do with user ids here, and whether it can do anything at all. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from podman_agent.errors import PodRefusalError
from podman_agent.plan.choices import USERNS_FIX, Choice

if TYPE_CHECKING:
    from podman_agent.pod.capabilities import Capability
    from podman_agent.pod.facts import Facts
    from podman_agent.pod.values import IdMode, Program

SOURCE_IDS = "https://github.com/containers/podman/blob/v5.4.2/pkg/rootless/rootless_linux.go"
CHROOT_FIX = "capabilities.add: [SYS_CHROOT], or leave seccompProfile undefined"
# what a build without any namespace fails without, each seen to (docs/how-to/seccomp.md): layers and steps have files
# of other owners, steps change user, and what an aborted one leaves is killed
CHROOT_CAPABILITIES: tuple[Capability, ...] = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SYS_CHROOT"),
)
CHROOT_PROGRAMS: tuple[Program, ...] = ("podman-agent-chroot", "podman-without-namespaces")


def ids(facts: Facts) -> Choice[IdMode]:
    """Say what podman may do with ids.

    Args:
        facts: What the pod is.

    Raises:
        PodRefusalError: Neither a user namespace nor a chroot can be had.
    """
    mode = facts.id_mode
    match mode:
        case "none":
            why = _without_namespace(facts)
        case "root":
            why = "root with CAP_SYS_ADMIN needs no user namespace"
        case "mapped":
            _needs_chroot(facts)
            why = "root without CAP_SYS_ADMIN makes a user namespace with all its ids"
            if facts.uid:
                why = f"uid {facts.uid} has {facts.subordinate_ids} subordinate ids in /etc/subuid"
        case "single":
            _needs_chroot(facts)
            why = "allowPrivilegeEscalation: false keeps newuidmap from mapping a range"
            if facts.uid == 0 or not facts.no_new_privs:
                why = f"uid {facts.uid} has no subordinate ids it may map"
            why += ": images hold files of one owner only"
        case _:
            assert_never(mode)
    return Choice.explained("ids", mode, why, SOURCE_IDS)


def _needs_chroot(facts: Facts) -> None:
    if facts.chroot:
        what = "podman can unpack no layer in this pod"
        raise PodRefusalError(what, f"its seccomp profile refuses chroot ({facts.chroot})", CHROOT_FIX)


def _without_namespace(facts: Facts) -> str:
    what = "podman can neither build nor run containers in this pod"
    why = f"no user namespace can be made ({facts.user_namespace})"
    if facts.uid != 0:
        raise PodRefusalError(what, f"{why}, and uid {facts.uid} may not chroot", USERNS_FIX)
    if missing := [name for name in CHROOT_CAPABILITIES if not facts.has(name)]:
        names = ", ".join(missing)
        fix = f"{USERNS_FIX}, or capabilities.add: [{names}]"
        raise PodRefusalError(what, f"{why}, and a build without one needs {names}", fix)
    if not all(facts.program(name) for name in CHROOT_PROGRAMS):
        raise PodRefusalError(what, why, USERNS_FIX)
    return why
