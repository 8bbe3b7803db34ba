"""What a pod does not allow to be forced: pure, asked by `podman_agent.plan.decide` for every variable that is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from podman_agent.facts import Facts

_PRIVILEGED = "set securityContext.privileged: true"


class Refusal(NamedTuple):
    """Why a forced value cannot be had here, and what would give it."""

    why: str
    fix: str


def _only_crun_on_hybrid(facts: Facts) -> bool:
    return facts.cgroup == "hybrid" and "runc" not in facts.programs


def refusal(facts: Facts, id_mode: str, name: str, value: str) -> Refusal | None:
    """Say why this pod cannot have a forced value; None where it can.

    Each was seen to fail in a pod of that kind (tests/unit/test_overrides.py has the facts).

    Args:
        facts: What the pod is.
        id_mode: root, mapped, single or none.
        name: The variable without its prefix.
        value: What it asks for.
    """
    match name, value:
        case (("EVENTS" | "LOG_DRIVER"), "journald") if not facts.journal:
            return Refusal(
                "there is no /run/systemd/journal/socket", "drop the variable: logs are files in a container"
            )
        case "CGROUP_MANAGER", "systemd" if not facts.systemd:
            return Refusal("systemd is not PID 1 here", "drop the variable")
        case "RUNTIME", "runc" if "runc" in facts.programs and not (facts.privileged and facts.cgroup_writable):
            return Refusal("no cgroup can be made here, and runc starts nothing without one", "drop the variable")
        case "ISOLATION", ("oci" | "rootless") if facts.privileged and _only_crun_on_hybrid(facts):
            return Refusal("the node has hybrid cgroups, which crun refuses", "install runc, or drop the variable")
        case "CGROUPS", "enabled" if facts.cgroup == "none" or not facts.cgroup_writable:
            return Refusal(f"no child cgroup can be made here (cgroup version: {facts.cgroup})", _PRIVILEGED)
        case "NETWORK", "bridge" if id_mode == "root" and "NET_ADMIN" not in facts.capabilities:
            return Refusal("a bridge needs CAP_NET_ADMIN", "capabilities.add: [NET_ADMIN], or drop the variable")
        case "NETWORK", "bridge" if id_mode != "root" and not facts.tun:
            why = "rootless podman reaches a bridge through /dev/net/tun, which is not here"
            return Refusal(why, f"{_PRIVILEGED}, or drop the variable: containers then share the pod's network")
        case "ISOLATION", ("oci" | "rootless") if facts.cgroup == "none" and id_mode == "root":
            return Refusal(
                "build steps as containers need a cgroup file system", "drop the variable: steps then chroot"
            )
    return None
