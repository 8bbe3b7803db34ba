"""How containers start here: runtime, cgroups and isolation, decided together because each limits the others. Pure.

What starts nothing was seen to in a pod of that kind (tests/nested/test_overrides.py); a rule and the check of a
forced value ask the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.errors import EngineMissingError
from podman_agent.plan.overrides import PREFIX
from podman_agent.plan.refusals import DROP, PRIVILEGED, Refusal

if TYPE_CHECKING:
    from podman_agent.plan.choices import Rules
    from podman_agent.pod.facts import Facts

CHROOT_RUNTIME = "podman-agent-chroot"
CRUN_REFUSES = ("hybrid", "crun")
USERNS_FIX = (
    "leave seccompProfile undefined, or set seccompProfile: {type: Localhost, localhostProfile: podman-agent.json}"
    " (docs/seccomp.md), with capabilities SETUID, SETGID and SETFCAP"
)
SOURCE_SECCOMP = "https://github.com/containerd/containerd/blob/main/contrib/seccomp/seccomp_default.go"
SOURCE_CRUN = "https://github.com/containers/crun/issues/678"
SOURCE_CGROUPS = "https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2254-cgroup-v2"
SOURCE_TOP = "https://github.com/containers/podman/blob/v5.4.2/libpod/container_top_linux.go"
SOURCE_ISOLATION = "https://docs.podman.io/en/latest/markdown/podman-build.1.html#isolation-type"
# best first: docker top, stats and limits need cgroups, and crun starts a container in about 0.6 of runc's time
_PAIRS = (("crun", "enabled"), ("runc", "enabled"), ("crun", "disabled"), ("runc", "disabled"))


def runtime_and_cgroups(facts: Facts, rules: Rules, id_mode: str) -> tuple[str, str]:
    """Choose the OCI runtime, and whether it makes cgroups.

    Args:
        facts: What the pod is.
        rules: Where the choices and what forces them are kept.
        id_mode: root, mapped, single or none.

    Raises:
        EngineMissingError: There is no runtime, or not the forced one.
        PodRefusalError: No container could be started with what is forced.
    """
    if id_mode == "none":
        return _only_chroot(rules)
    installed = [pair for pair in _PAIRS if pair[0] in facts.programs]
    forced = {name: value for name, value in rules.overrides.items() if name in {"RUNTIME", "CGROUPS"}}
    wanted = forced.get("RUNTIME") or (installed or _PAIRS)[0][0]
    if wanted not in facts.programs:
        msg = f"there is no OCI runtime {wanted}"
        raise EngineMissingError(msg, fix=f"install {wanted} or unset {PREFIX}RUNTIME")
    usual = [pair for pair in installed if facts.privileged or pair[1] == "disabled"]
    asked = [
        (runtime, cgroups)
        for runtime, cgroups in (installed if "CGROUPS" in forced else usual)
        if runtime == forced.get("RUNTIME", runtime) and cgroups == forced.get("CGROUPS", cgroups)
    ]
    rule, best = _first(facts, usual), _first(facts, asked)
    if best != rule and starts_nothing(facts, *best):
        why = ", and ".join(dict.fromkeys(starts_nothing(facts, *pair) for pair in asked))
        rules.refuse(tuple(forced), Refusal(why, DROP if _makes_cgroups(facts) else f"{PRIVILEGED}, or {DROP}"))
    # what is forced is held against the rule's own choice, what follows from it is chosen with it
    runtime, cgroups = (
        (own if name in forced else chosen)
        for name, own, chosen in zip(("RUNTIME", "CGROUPS"), rule, best, strict=True)
    )
    why = "crun starts a container in about 0.6 of runc's time"
    if runtime == "runc":
        why = "crun refuses a node with hybrid cgroups" if "crun" in facts.programs else "there is no crun"
    source = SOURCE_CGROUPS if facts.cgroup_node else SOURCE_TOP
    return (
        rules.choose("RUNTIME", runtime, why, SOURCE_CRUN),
        rules.choose("CGROUPS", cgroups, _why_cgroups(facts, cgroups), source),
    )


def _only_chroot(rules: Rules) -> tuple[str, str]:
    why = "no namespace can be made here, so build steps only chroot"
    for name in ("RUNTIME", "CGROUPS"):
        if rules.overrides.get(name, "disabled") != "disabled":
            rules.refuse((name,), Refusal(why, USERNS_FIX if name == "RUNTIME" else PRIVILEGED))
    return (
        rules.choose("RUNTIME", CHROOT_RUNTIME, why, SOURCE_SECCOMP),
        rules.choose("CGROUPS", "disabled", f"{CHROOT_RUNTIME} makes none", SOURCE_SECCOMP),
    )


def _first(facts: Facts, pairs: list[tuple[str, str]]) -> tuple[str, str]:
    """The best pair that starts containers; where none does, builds still do with chroot isolation."""
    starting = [pair for pair in pairs if not starts_nothing(facts, *pair)]
    return (starting or [pair for pair in pairs if pair[1] == "disabled"] or pairs)[0]


def _makes_cgroups(facts: Facts) -> bool:
    return facts.cgroup != "none" and facts.cgroup_writable


def starts_nothing(facts: Facts, runtime: str, cgroups: str) -> str:
    """Say why no container starts with this runtime and these cgroups; empty where they do.

    Args:
        facts: What the pod is.
        runtime: crun or runc.
        cgroups: enabled or disabled.
    """
    if (facts.cgroup, runtime) == CRUN_REFUSES:  # also when it is to make none
        return "crun refuses a node with hybrid cgroups"
    if cgroups == "enabled" and not _makes_cgroups(facts):
        return f"no child cgroup can be made here (cgroup version: {facts.cgroup})"
    if (runtime, cgroups) == ("runc", "disabled"):  # "requested OCI runtime runc is not compatible with NoCgroups"
        return "runc starts nothing without a cgroup"
    return ""


def _why_cgroups(facts: Facts, cgroups: str) -> str:
    if cgroups == "enabled":
        why = "the cgroup file system is writable: docker top, stats and limits need it"
        if facts.cgroup_node:
            # podman 5.4 takes a parent cgroup from its command line alone
            why += "; it is the node's own, so containers and build steps are outside this pod's memory and cpu limits"
        return why
    if not _makes_cgroups(facts):
        return f"no child cgroup can be made here (cgroup version: {facts.cgroup})"
    if not facts.privileged:
        return "without privilege there is no cgroup to delegate"
    return "crun refuses a node with hybrid cgroups"


def _steps_start_nothing(facts: Facts, id_mode: str, runtime: str, cgroups: str) -> str:
    """Say why no build step can be a container; empty where one can."""
    if why := starts_nothing(facts, runtime, cgroups):
        return why
    # buildah asks for a cgroup whatever containers.conf says; in a user namespace crun goes on without one
    if id_mode == "root" and facts.host_user_namespace and not _makes_cgroups(facts):
        return "build steps as containers need a writable cgroup file system"
    return ""


def isolation(facts: Facts, rules: Rules, id_mode: str, runtime: str, cgroups: str) -> str:
    """Choose how build steps are kept apart from the pod.

    Args:
        facts: What the pod is.
        rules: Where the choice and what forces it are kept.
        id_mode: root, mapped, single or none.
        runtime: As chosen.
        cgroups: As chosen.

    Raises:
        PodRefusalError: No step could run with the one that is forced.
    """
    forced = rules.overrides.get("ISOLATION", "")
    if id_mode == "none":
        value, why = "oci", "the runtime that only chroots is reached by OCI isolation"
        if forced not in {"", value}:
            rules.refuse(("ISOLATION",), Refusal(why, USERNS_FIX))
        return rules.choose("ISOLATION", value, why, SOURCE_ISOLATION)
    if id_mode == "single":
        value, why = "rootless", "chroot isolation calls setgroups, which a namespace of one id denies"
        if forced == "chroot":
            rules.refuse(("ISOLATION",), Refusal(why, USERNS_FIX))
        return rules.choose("ISOLATION", value, why, SOURCE_ISOLATION)
    cannot = _steps_start_nothing(facts, id_mode, runtime, cgroups)
    if cannot:
        value, why = "chroot", cannot
        if forced not in {"", value}:
            install = "install runc, or " if (facts.cgroup, runtime) == CRUN_REFUSES else ""
            rules.refuse(("ISOLATION",), Refusal(cannot, f"{install}{DROP}: steps then chroot"))
    elif id_mode == "root" and not facts.mount_proc and _makes_cgroups(facts):
        value, why = "oci", "containers can run here, so build steps run as containers"
    else:
        value, why = "chroot", "a step that only chroots works whatever is masked in /proc, and needs no cgroup"
    return rules.choose("ISOLATION", value, why, SOURCE_ISOLATION)
