"""How containers start here: runtime, cgroups and isolation, decided together because each limits the others. Pure.

What starts nothing was seen to in a pod of that kind (tests/nested/test_overrides.py); a rule and the check of a
forced value ask the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from podman_agent.errors import EngineMissingError
from podman_agent.plan.choices import DROP, PRIVILEGED, USERNS_FIX, Choice, Refusal, choose, refuse
from podman_agent.pod import variables

if TYPE_CHECKING:
    from podman_agent.pod.facts import Facts
    from podman_agent.pod.values import Cgroups, ChrootRuntime, Isolation, OciRuntime, Runtime
    from podman_agent.pod.variables import Forced

CHROOT_RUNTIME: ChrootRuntime = "podman-agent-chroot"
SOURCE_SECCOMP = "https://github.com/containerd/containerd/blob/main/contrib/seccomp/seccomp_default.go"
SOURCE_CRUN = "https://github.com/containers/crun/issues/678"
SOURCE_CGROUPS = "https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2254-cgroup-v2"
SOURCE_TOP = "https://github.com/containers/podman/blob/v5.4.2/libpod/container_top_linux.go"
SOURCE_ISOLATION = "https://docs.podman.io/en/latest/markdown/podman-build.1.html#isolation-type"


class Containers(NamedTuple):
    """What makes containers: an OCI runtime, and whether it makes cgroups for them."""

    runtime: Runtime
    cgroups: Cgroups


# best first: docker top, stats and limits need cgroups, and crun starts a container in about 0.6 of runc's time
_BEST_FIRST: tuple[tuple[OciRuntime, Cgroups], ...] = (
    ("crun", "enabled"),
    ("runc", "enabled"),
    ("crun", "disabled"),
    ("runc", "disabled"),
)


def crun_refuses(facts: Facts, runtime: Runtime) -> bool:
    """Whether this is crun in a pod that sees hybrid cgroups: it starts nothing there, also when it is to make none.

    Args:
        facts: What the pod is.
        runtime: The one that is asked about.
    """
    return runtime == "crun" and facts.cgroup == "hybrid"


def runtime_and_cgroups(facts: Facts, forced: Forced) -> tuple[Choice[Runtime], Choice[Cgroups]]:
    """Choose the OCI runtime, and whether it makes cgroups.

    Args:
        facts: What the pod is.
        forced: The variables that are set.

    Raises:
        EngineMissingError: There is no runtime, or not the forced one.
        PodRefusalError: No container could be started with what is forced.
    """
    if facts.id_mode == "none":
        return _only_chroot(forced)
    installed = [Containers(*pair) for pair in _BEST_FIRST if facts.program(pair[0])]
    asked_runtime, asked_cgroups = forced.get(variables.RUNTIME), forced.get(variables.CGROUPS)
    rule_runtime: Runtime = installed[0].runtime if installed else "crun"
    wanted = asked_runtime or rule_runtime
    if not facts.program(wanted):
        msg = f"there is no OCI runtime {wanted}"
        raise EngineMissingError(msg, fix=f"install {wanted} or unset {variables.RUNTIME.full_name}")
    usual = [pair for pair in installed if facts.id_mode == "root" or pair.cgroups == "disabled"]
    asked = [
        pair
        for pair in (installed if asked_cgroups else usual)
        if asked_runtime in {None, pair.runtime} and asked_cgroups in {None, pair.cgroups}
    ]
    rule, best = _first(facts, usual), _first(facts, asked)
    if best != rule and starts_nothing(facts, best):
        why = ", and ".join(dict.fromkeys(starts_nothing(facts, pair) for pair in asked))
        names = tuple(variable for variable in (variables.RUNTIME, variables.CGROUPS) if variable in forced)
        refuse(forced, names, Refusal(why, DROP if _makes_cgroups(facts) else f"{PRIVILEGED}, or {DROP}"))
    # what is forced is held against the rule's own choice, what follows from it is chosen with it
    runtime = rule.runtime if asked_runtime else best.runtime
    cgroups = rule.cgroups if asked_cgroups else best.cgroups
    why = "crun starts a container in about 0.6 of runc's time"
    if runtime == "runc":
        why = "crun refuses a node with hybrid cgroups" if facts.program("crun") else "there is no crun"
    source = SOURCE_CGROUPS if facts.cgroup_node else SOURCE_TOP
    return (
        choose(variables.RUNTIME, forced, runtime, why, SOURCE_CRUN),
        choose(variables.CGROUPS, forced, cgroups, _why_cgroups(facts, cgroups), source),
    )


def _only_chroot(forced: Forced) -> tuple[Choice[Runtime], Choice[Cgroups]]:
    why = "no namespace can be made here, so build steps only chroot"
    runtime: Runtime = CHROOT_RUNTIME
    cgroups: Cgroups = "disabled"
    without = f"{CHROOT_RUNTIME} makes none"
    no_cgroups = Refusal(why, PRIVILEGED) if forced.get(variables.CGROUPS) == "enabled" else None
    return (
        choose(variables.RUNTIME, forced, runtime, why, SOURCE_SECCOMP, cannot=Refusal(why, USERNS_FIX)),
        choose(variables.CGROUPS, forced, cgroups, without, SOURCE_SECCOMP, cannot=no_cgroups),
    )


def _first(facts: Facts, pairs: list[Containers]) -> Containers:
    """The best pair that starts containers; where none does, builds still do with chroot isolation."""
    starting = [pair for pair in pairs if not starts_nothing(facts, pair)]
    return (starting or [pair for pair in pairs if pair.cgroups == "disabled"] or pairs)[0]


def _makes_cgroups(facts: Facts) -> bool:
    return facts.cgroup != "none" and facts.cgroup_writable


def starts_nothing(facts: Facts, containers: Containers) -> str:
    """Say why no container starts with this runtime and these cgroups; empty where they do.

    Args:
        facts: What the pod is.
        containers: The two.
    """
    if crun_refuses(facts, containers.runtime):
        return "crun refuses a node with hybrid cgroups"
    if containers.cgroups == "enabled" and not _makes_cgroups(facts):
        return f"no child cgroup can be made here (cgroup version: {facts.cgroup})"
    # "requested OCI runtime runc is not compatible with NoCgroups"
    if containers.runtime == "runc" and containers.cgroups == "disabled":
        return "runc starts nothing without a cgroup"
    return ""


def _why_cgroups(facts: Facts, cgroups: Cgroups) -> str:
    if cgroups == "enabled":
        why = "the cgroup file system is writable: docker top, stats and limits need it"
        if facts.cgroup_node:
            # podman 5.4 takes a parent cgroup from its command line alone
            why += "; it is the node's own, so containers and build steps are outside this pod's memory and cpu limits"
        return why
    if not _makes_cgroups(facts):
        return f"no child cgroup can be made here (cgroup version: {facts.cgroup})"
    if facts.id_mode != "root":
        return "without privilege there is no cgroup to delegate"
    return "crun refuses a node with hybrid cgroups"


def _steps_start_nothing(facts: Facts, containers: Containers) -> str:
    """Say why no build step can be a container; empty where one can."""
    if why := starts_nothing(facts, containers):
        return why
    # buildah asks for a cgroup whatever containers.conf says; in a user namespace crun goes on without one
    if facts.id_mode == "root" and facts.host_user_namespace and not _makes_cgroups(facts):
        return "build steps as containers need a writable cgroup file system"
    return ""


def isolation(facts: Facts, forced: Forced, containers: Containers) -> Choice[Isolation]:
    """Choose how build steps are kept apart from the pod.

    Args:
        facts: What the pod is.
        forced: The variables that are set.
        containers: As chosen.

    Raises:
        PodRefusalError: No step could run with the one that is forced.
    """
    rule: Isolation
    cannot: Refusal | None = None
    asked = forced.get(variables.ISOLATION)
    if facts.id_mode == "none":
        rule, why = "oci", "the runtime that only chroots is reached by OCI isolation"
        if asked != rule:
            cannot = Refusal(why, USERNS_FIX)
    elif facts.id_mode == "single":
        rule, why = "rootless", "chroot isolation calls setgroups, which a namespace of one id denies"
        if asked == "chroot":
            cannot = Refusal(why, USERNS_FIX)
    elif why := _steps_start_nothing(facts, containers):
        rule = "chroot"
        if asked != rule:
            install = "install runc, or " if crun_refuses(facts, containers.runtime) else ""
            cannot = Refusal(why, f"{install}{DROP}: steps then chroot")
    elif facts.id_mode == "root" and not facts.mount_proc and _makes_cgroups(facts):
        rule, why = "oci", "containers can run here, so build steps run as containers"
    else:
        rule, why = "chroot", "a step that only chroots works whatever is masked in /proc, and needs no cgroup"
    return choose(variables.ISOLATION, forced, rule, why, SOURCE_ISOLATION, cannot=cannot)
