"""What a pod does not allow to be forced: pure, asked by `decide` for every variable that is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from podman_agent.pod.facts import Facts

PRIVILEGED = "set securityContext.privileged: true"
DROP = "drop the variable"


class Refusal(NamedTuple):
    """Why a forced value cannot be had here, and what would give it."""

    why: str
    fix: str


def refusal(facts: Facts, id_mode: str, name: str, value: str) -> Refusal | None:
    """Say why this pod cannot have a forced value; None where it can.

    Runtime, cgroups and isolation are checked where they are decided (`podman_agent.plan.runtimes`), the storage
    driver in `podman_agent.plan.decide`. Each was seen to fail in a pod of that kind (tests/unit/test_allowed.py has
    the facts).

    Args:
        facts: What the pod is.
        id_mode: root, mapped, single or none.
        name: The variable without its prefix.
        value: What it asks for.
    """
    match name, value:
        case (("EVENTS" | "LOG_DRIVER"), "journald") if not facts.journal:
            return Refusal("there is no /run/systemd/journal/socket", f"{DROP}: logs are files in a container")
        case "CGROUP_MANAGER", "systemd" if not facts.systemd:
            return Refusal("systemd is not PID 1 here", DROP)
        case "NETWORK", "bridge" if id_mode == "root" and "NET_ADMIN" not in facts.capabilities:
            return Refusal("a bridge needs CAP_NET_ADMIN", f"capabilities.add: [NET_ADMIN], or {DROP}")
        case "NETWORK", "bridge" if id_mode != "root" and not facts.tun:
            why = "rootless podman reaches a bridge through /dev/net/tun, which is not here"
            return Refusal(why, f"{PRIVILEGED}, or {DROP}: containers then share the pod's network")
    return None
