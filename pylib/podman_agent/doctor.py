"""What is wrong or merely worse than it could be in this pod, from its facts and its plan. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from podman_agent.plan import USERNS_FIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podman_agent.deep import Trial
    from podman_agent.facts import Facts
    from podman_agent.plan import Plan

FINE, DEGRADED, BROKEN = 0, 1, 2
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
        better = "an emptyDir or PVC (no network file system) at /var/lib/containers"
        if plan.id_mode == "none":
            better = USERNS_FIX
        found.append(Advice("vfs copies the whole image for every layer: slow, and it fills the disk", better))
    elif plan.mount_program:
        better = "an emptyDir or PVC at /var/lib/containers"
        found.append(Advice("fuse-overlayfs is slower than the kernel's overlay", better))
    if plan.cgroups == "disabled" and facts.privileged:
        better = "securityContext.privileged: true on a node that mounts /sys/fs/cgroup"
        found.append(Advice("docker stats, pause and memory limits need cgroups", better))
    if not facts.volume_mounted:
        found.append(Advice("the layer cache is lost with the pod", "a volume at /var/lib/containers"))
    if plan.lock_type:
        found.append(Advice("/dev/shm is too small for podman's locks; files are slower", "an emptyDir at /dev/shm"))
    return tuple(found)


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
