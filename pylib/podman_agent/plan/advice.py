"""What is wrong or merely worse than it could be in this pod, from its facts and its plan. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podman_agent.plan.choices import USERNS_FIX
from podman_agent.plan.runtimes import crun_refuses
from podman_agent.plan.storage import overlay_refused
from podman_agent.pod import variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podman_agent.plan.plan import Plan
    from podman_agent.pod.facts import Facts
    from podman_agent.pod.variables import Variable

FINE, DEGRADED, BROKEN = 0, 1, 2
_GOOD = "on a disk, no network file system"
VERDICTS = ("fine", "degraded", "cannot build")


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that would be better.

    Args:
        problem: What is lost now.
        better: The pod field that gives it.
    """

    problem: str
    better: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was tried.

    Attributes:
        name: What.
        error: Empty when it worked, else the kernel's or podman's words.
        needed: Whether no build works without it.
    """

    name: str
    error: str
    needed: bool = True


def found(facts: Facts) -> tuple[tuple[str, str], ...]:
    """What the pod is, as far as a choice rests on it: name and value, for a table.

    Args:
        facts: What the pod is.
    """
    ids = "the node's" if facts.host_user_namespace else f"its own, {sum(row[2] for row in facts.uid_map)} ids"
    writable = "child cgroups can be made" if facts.cgroup_writable else "no child cgroup can be made"
    limits = [
        f"{name} {'unlimited' if hard < 0 else hard}"
        for name, hard in (("nofile", facts.nofile_hard), ("nproc", facts.nproc_hard))
    ]
    where = "volume" if facts.volume_mounted else "no volume"
    versions = ".".join(str(number) for number in facts.podman_version)
    return (
        ("user", f"uid {facts.uid}, gid {facts.gid}, {facts.subordinate_ids} subordinate ids"),
        ("user namespace", f"{ids}; another one: {facts.user_namespace or 'can be made'}"),
        ("capabilities", " ".join(facts.capabilities) or "none"),
        ("privileges", "allowPrivilegeEscalation: false" if facts.no_new_privs else "may be gained"),
        ("seccomp", "a profile is in force" if facts.seccomp else "none"),
        ("cgroups", f"{facts.cgroup}, {writable}" if facts.cgroup != "none" else "none"),
        ("hard limits", ", ".join(limits)),
        ("fresh /proc", facts.mount_proc or "can be mounted"),
        ("graphroot", f"{facts.graphroot_fs or 'unknown file system'}, {where}, {facts.graphroot}"),
        ("kernel", facts.kernel),
        ("podman", f"{versions} {facts.podman}".strip()),
    )


def advise(facts: Facts, plan: Plan) -> tuple[Advice, ...]:
    """Say what would be better, most important first.

    Args:
        facts: What the pod is.
        plan: What was decided for it.
    """
    found = []
    if plan.id_mode == "none":
        found.append(Advice("docker run is refused, and build steps have no /proc, /sys or isolation", USERNS_FIX))
    if plan.id_mode == "single":
        better = "run as root with capabilities SETUID, SETGID, SETFCAP, or allowPrivilegeEscalation: true"
        found.append(Advice("images hold files of one owner only, and steps that change user fail", better))
    if plan.storage_driver == "vfs":
        problem = "vfs copies the whole image for every layer: slow, and it fills the disk"
        found.append(Advice(problem, _instead_of_vfs(facts, plan)))
    elif plan.mount_program:
        better = f"an emptyDir or PVC ({_GOOD}) at /var/lib/containers"
        found.append(Advice("fuse-overlayfs is slower than the kernel's overlay", better))
    if plan.cgroups == "disabled" and plan.id_mode == "root":
        found.append(Advice("docker stats, pause and memory limits need cgroups", _for_cgroups(facts, plan)))
    if plan.id_mode == "root" and facts.mount_proc:
        problem = f"docker run fails: no /proc can be mounted for a container ({facts.mount_proc})"
        found.append(Advice(problem, "procMount: Unmasked with hostUsers: false, or securityContext.privileged: true"))
    if plan.id_mode != "none" and crun_refuses(facts, plan.runtime):
        better = "leave the node's /sys/fs/cgroup unmounted, or privileged: true with runc in the image"
        found.append(Advice("docker run fails: crun refuses a pod that sees hybrid cgroups", better))
    if lost := volume_lost(facts):
        found.append(lost)
    elif not facts.volume_mounted:
        found.append(Advice("the layer cache is lost with the pod", "a volume at /var/lib/containers"))
    if plan.lock_type:
        found.append(Advice("/dev/shm is too small for podman's locks; files are slower", "an emptyDir at /dev/shm"))
    return tuple(found)


def volume_lost(facts: Facts) -> Advice | None:
    """Say that the pod's volume is not used, where this user cannot write it.

    Args:
        facts: What the pod is.
    """
    if not facts.volume_passed_over:
        return None
    problem = f"uid {facts.uid} cannot write the volume at {facts.volume_passed_over}: the store is in {facts.volume}"
    better = (
        "securityContext.fsGroup with fsGroupChangePolicy: OnRootMismatch for a PVC; for a hostPath, which fsGroup does"
        f" not reach, an initContainer that runs as root: chown {facts.uid} {facts.volume_passed_over}"
    )
    return Advice(problem, better)


def _instead_of_vfs(facts: Facts, plan: Plan) -> str:
    if plan.id_mode == "none":
        return USERNS_FIX
    overlay_works = not overlay_refused(facts)
    if overlay_works and _is_forced(plan, variables.STORAGE_DRIVER):
        return "unset PODMAN_AGENT_STORAGE_DRIVER: overlay works on this volume"
    if overlay_works and facts.graphroot_driver == "vfs":
        return "a new store, by another PODMAN_AGENT_CACHE_KEY or an empty volume: this one was made with vfs"
    return f"an emptyDir or PVC ({_GOOD}) at /var/lib/containers"


def _for_cgroups(facts: Facts, plan: Plan) -> str:
    if facts.cgroup_writable and _is_forced(plan, variables.CGROUPS):
        return "unset PODMAN_AGENT_CGROUPS: cgroups can be made here"
    if not facts.host_user_namespace:
        return "securityContext.privileged: true without hostUsers: false, which gives the user namespace up"
    return "securityContext.privileged: true on a node that mounts /sys/fs/cgroup"


def _is_forced(plan: Plan, variable: Variable[Any]) -> bool:
    return any(reason.forced for reason in plan.reasons if reason.choice == variable.choice)


def verdict(advice: tuple[Advice, ...], trials: Iterable[Trial] = ()) -> int:
    """Exit code of doctor.

    Args:
        advice: What would be better.
        trials: What was tried, if anything was.

    Returns:
        0 fine, 1 degraded, 2 cannot build.
    """
    if any(trial.error and trial.needed for trial in trials):
        return BROKEN
    return DEGRADED if advice else FINE
