"""Rules of the plan that only make podman faster; each cites its figure (``bench/README.md``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.plan.choices import Choice, Reason, choose
from podman_agent.pod import variables

if TYPE_CHECKING:
    from podman_agent.pod.facts import Facts
    from podman_agent.pod.values import CompressionLevel
    from podman_agent.pod.variables import Forced

MEMORY = "tmpfs"
RUNROOT = "/run/containers/storage"
# podman keeps some kilobytes there for each container that runs
RUNROOT_OPTIONS = "size=64m,mode=700"
RUNROOT_FLAGS = 2 | 4  # MS_NOSUID, MS_NODEV: linux/mount.h
SOURCE_MOUNTS = "https://github.com/containers/storage/blob/v1.57.2/layers.go"
SOURCE_EXIT_FILE = "https://github.com/containers/common/blob/v0.62.3/pkg/util/util.go"
SOURCE_COLLECTOR = "https://go.dev/doc/gc-guide"
SOURCE_COMPRESSION = "https://github.com/containers/common/blob/v0.62.3/docs/containers.conf.5.md"
COLLECTOR = ("GOGC=400", "GOMEMLIMIT=1GiB")


def runroot_in_memory(facts: Facts) -> Choice[bool]:
    """Whether a tmpfs is mounted for podman's run state: on a machine /run is one, in a pod it is a disk.

    Only root's podman mounts in the pod's own mount namespace; a state directory of the caller's own is the caller's
    to remove.

    Args:
        facts: What the pod is.
    """
    on_disk = facts.runroot == RUNROOT and facts.runroot_fs not in {"", MEMORY}
    if facts.id_mode != "root" or not on_disk:
        return Choice(value=False)
    why = (
        f"/run is on a disk here ({facts.runroot_fs}): 278 of the 409 flushes of a cached build of 40 steps were of"
        " run state, which no new container reads"
    )
    return Choice(value=True, reason=Reason("runroot", MEMORY, why, SOURCE_MOUNTS))


def exec_monitor(facts: Facts, *, can_run: bool) -> Choice[str]:
    """What stands in for conmon when a command is executed in a container; empty where nothing does.

    Args:
        facts: What the pod is.
        can_run: Whether there can be a container to execute in.
    """
    # the script names both: whoever has them elsewhere keeps podman's own way
    usual = facts.podman == "/usr/bin/podman" and facts.program("conmon") == "/usr/bin/conmon"
    ours = facts.program("podman-agent-conmon")
    if not (ours and usual and can_run):
        return Choice("")
    why = (
        "docker exec takes 0.61 of the time of a short command and 0.88 of one of 0.2 s: podman is told of the exit"
        " code instead of looking every 25 ms, and no second podman starts to clean up after the first"
    )
    return Choice.explained("exec_monitor", ours, why, SOURCE_EXIT_FILE)


def collector() -> Choice[tuple[str, ...]]:
    """How often Go collects garbage: podman is many short processes, each of which collects while it starts."""
    why = (
        "podman used 0.82 of the CPU time in a cached build of 40 steps, and 0.88 in docker run;"
        " above 1 GiB it collects as ever"
    )
    return Choice(COLLECTOR, Reason("collector", " ".join(COLLECTOR), why, SOURCE_COLLECTOR))


def compression_level(forced: Forced) -> Choice[CompressionLevel]:
    """Choose the gzip level of pushed layers: what a fast one saves its pusher, everybody who pulls pays in bytes.

    Args:
        forced: The variables that are set.
    """
    if variables.COMPRESSION_LEVEL not in forced:
        return Choice("")
    return choose(variables.COMPRESSION_LEVEL, forced, "5", "podman's own", SOURCE_COMPRESSION)
