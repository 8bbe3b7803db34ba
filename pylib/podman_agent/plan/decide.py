"""What podman is to use in this pod: one pure function from `Facts` to `Plan`.

Each rule takes the facts and the variables that are set, and returns a `Choice`: its value, the reason, the source. A
choice can be forced by one ``PODMAN_AGENT_*`` variable, and is then held against what the pod allows. `decide` joins
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.errors import EngineMissingError, VolumeError
from podman_agent.plan import runtimes, speed, storage, users
from podman_agent.plan.choices import DROP, PRIVILEGED, Choice, Reason, Refusal, choose, refuse
from podman_agent.plan.plan import Plan
from podman_agent.pod import variables
from podman_agent.pod.values import ROOTLESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.pod.facts import Facts
    from podman_agent.pod.values import CgroupManager, Events, Isolation, LockType, LogDriver, Network, Uts
    from podman_agent.pod.variables import Forced

# what podman asks for when nothing else is said: pkg/specgen and common/pkg/config (v5.4.2)
PODMAN_NOFILE = 1048576
# libpod's 2048 locks are semaphores in one segment of /dev/shm; a smaller /dev/shm ends podman by SIGBUS
SHM_FOR_LOCKS = 1 << 20
WATCHED = ("build", "buildx", "bud", "commit", "image", "import", "load", "pull", "push")
WATCHED_RUNS = ("container", "create", "run", "start")

# every new container is a reboot to podman, which then refreshes the database of a store others may use
SOURCE_REFRESH = "https://github.com/containers/podman/issues/9191"
SOURCE_MANAGER = "https://github.com/containers/common/blob/v0.62.3/pkg/config/systemd.go"
SOURCE_EVENTS = "https://github.com/containers/podman/issues/4325"
SOURCE_LOGS = "https://github.com/containers/podman/issues/26910"
SOURCE_NETWORK = "https://github.com/containers/image_build/blob/main/podman/containers.conf"
SOURCE_FORMAT = "https://github.com/containers/buildah/issues/2388"
SOURCE_RAISED = "https://man7.org/linux/man-pages/man2/setrlimit.2.html"
SOURCE_LIMITS = "https://github.com/containers/podman/issues/24692"
SOURCE_PROC = "https://github.com/containers/image_build/blob/main/podman/podman-containers.conf"
SOURCE_LOCKS = "https://docs.podman.io/en/latest/markdown/podman-system-renumber.1.html"
SOURCE_COMMON_SECCOMP = "https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json"
SOURCE_RUN = "https://github.com/containers/crun/blob/1.21/src/libcrun/status.c"


def decide(facts: Facts, env: Mapping[str, str]) -> Plan:
    """Decide everything podman is told in this pod.

    Args:
        facts: What the pod is.
        env: The environment; only its ``PODMAN_AGENT_*`` variables matter.

    Raises:
        ConfigError: An override that is unknown or contradicts the store.
        EngineMissingError: No podman, or not the forced runtime.
        PodRefusalError: An override, or the store, asks what this pod does not allow.
        VolumeError: The graphroot is not writable.
    """
    forced = variables.forced(env)
    if not facts.podman:
        msg = "podman is not installed in this container"
        raise EngineMissingError(msg, fix="use the jenkins-podman-agent image, or install podman")
    if facts.graphroot_error:
        what = f"cannot write in the graphroot {facts.graphroot}"
        raise VolumeError(what, facts.graphroot_error, _volume_fix(facts))
    ids = users.ids(facts)
    driver = storage.storage_driver(facts, forced)
    runtime, cgroups = runtimes.runtime_and_cgroups(facts, forced)
    containers = runtimes.Containers(runtime.value, cgroups.value)
    can_run = facts.id_mode != "none" and not runtimes.starts_nothing(facts, containers)
    manager, events, logs = _manager(facts, forced), _events(facts, forced), _log_driver(facts, forced)
    isolation = runtimes.isolation(facts, forced, containers)
    network = _network(facts, forced, isolation.value)
    build_format = choose(
        variables.BUILD_FORMAT,
        forced,
        "docker",
        "the OCI format would drop HEALTHCHECK, SHELL and ONBUILD",
        SOURCE_FORMAT,
    )
    ulimits, volumes, lock_type, uts = _ulimits(facts), _volumes(facts), _lock_type(facts), _uts(facts)
    run_directory = _run_directory(facts)
    in_memory, collector, level = speed.runroot_in_memory(facts), speed.collector(), speed.compression_level(forced)
    exec_monitor = speed.exec_monitor(facts, can_run=can_run)
    watched = _watched(facts, can_run=can_run)
    choices: tuple[Choice[object], ...] = (
        *(_store(facts), ids, driver, runtime, cgroups, manager, events, logs, isolation, network, build_format),
        *(ulimits, volumes, lock_type, uts, run_directory, in_memory, collector, level, exec_monitor, watched),
    )
    mount_program = storage.mount_program(facts, driver.value)
    return Plan(
        podman=facts.podman,
        programs=dict(facts.programs),
        graphroot=facts.graphroot,
        runroot=facts.runroot,
        additional_stores=facts.additional_stores,
        storage_driver=driver.value,
        mount_program=mount_program,
        mount_options="fsync=0" if mount_program else "",
        isolation=isolation.value,
        runtime=runtime.value,
        cgroups=cgroups.value,
        cgroup_manager=manager.value,
        events=events.value,
        log_driver=logs.value,
        network=network.value,
        ulimits=ulimits.value,
        build_format=build_format.value,
        tmpdir=facts.tmpdir or facts.graphroot.rstrip("/") + ".tmp",
        mirrors=forced.get(variables.MIRRORS) or (),
        insecure=forced.get(variables.INSECURE_REGISTRIES) or (),
        can_run=can_run,
        reasons=tuple(choice.reason for choice in choices if choice.reason),
        id_mode=ids.value,
        volumes=volumes.value,
        lock_type=lock_type.value,
        uts=uts.value,
        run_directory=run_directory.value,
        runroot_in_memory=in_memory.value,
        collector=collector.value,
        compression_level=level.value,
        exec_monitor=exec_monitor.value,
        watched=watched.value,
    )


def _store(facts: Facts) -> Choice[str]:
    reason = Reason("store", facts.store, facts.store_note, SOURCE_REFRESH) if facts.store else None
    return Choice(facts.store, reason)


def _manager(facts: Facts, forced: Forced) -> Choice[CgroupManager]:
    rule: CgroupManager = "systemd" if facts.systemd else "cgroupfs"
    why = "systemd is PID 1 here" if facts.systemd else "systemd does not run in this container"
    cannot = None
    if forced.get(variables.CGROUP_MANAGER) == "systemd" and not facts.systemd:
        cannot = Refusal("systemd is not PID 1 here", DROP)
    return choose(variables.CGROUP_MANAGER, forced, rule, why, SOURCE_MANAGER, cannot=cannot)


def _no_journal(facts: Facts, asked: Events | LogDriver | None) -> Refusal | None:
    if asked == "journald" and not facts.journal:
        return Refusal("there is no /run/systemd/journal/socket", f"{DROP}: logs are files in a container")
    return None


def _events(facts: Facts, forced: Forced) -> Choice[Events]:
    cannot = _no_journal(facts, forced.get(variables.EVENTS))
    why = "there is no journal in a container"
    return choose(variables.EVENTS, forced, "file", why, SOURCE_EVENTS, cannot=cannot)


def _log_driver(facts: Facts, forced: Forced) -> Choice[LogDriver]:
    cannot = _no_journal(facts, forced.get(variables.LOG_DRIVER))
    why = "there is no journal in a container, and CentOS packages journald as the default"
    return choose(variables.LOG_DRIVER, forced, "k8s-file", why, SOURCE_LOGS, cannot=cannot)


def _network(facts: Facts, forced: Forced, isolation: Isolation) -> Choice[Network]:
    """Choose the network of containers.

    Raises:
        PodRefusalError: The forced one cannot be set up, or leaves build steps without any that can.
    """
    cannot = _no_bridge(facts) if forced.get(variables.NETWORK) == "bridge" else None
    why = "the pod is the network: no bridge, no NAT, no nft; docker run -p asks for a bridge by itself"
    network = choose(variables.NETWORK, forced, "host", why, SOURCE_NETWORK, cannot=cannot)
    if network.value == "none" and facts.id_mode in ROOTLESS and isolation != "chroot" and not facts.tun:
        # buildah gives a step that is a container one of its own by pasta, whatever containers have
        why = f"build steps with isolation {isolation} then ask for /dev/net/tun, which is not here"
        names = tuple(variable for variable in (variables.NETWORK, variables.ISOLATION) if variable in forced)
        refuse(forced, names, Refusal(why, DROP))
    return network


def _no_bridge(facts: Facts) -> Refusal | None:
    if facts.id_mode == "root":
        if facts.has("NET_ADMIN"):
            return None
        return Refusal("a bridge needs CAP_NET_ADMIN", f"capabilities.add: [NET_ADMIN], or {DROP}")
    if facts.tun:
        return None
    why = "rootless podman reaches a bridge through /dev/net/tun, which is not here"
    return Refusal(why, f"{PRIVILEGED}, or {DROP}: containers then share the pod's network")


def _ulimits(facts: Facts) -> Choice[tuple[str, ...]]:
    if facts.has("SYS_RESOURCE") and facts.host_user_namespace:
        why = "CAP_SYS_RESOURCE lets podman raise limits itself"
        return Choice((), Reason("ulimits", "podman's own", why, SOURCE_RAISED))
    # podman lowers its own nproc to the kernel's pid_max before it starts anything, and cannot raise it again
    limits = (("nofile", facts.nofile_hard, PODMAN_NOFILE), ("nproc", facts.nproc_hard, facts.pid_max))
    values = tuple(
        f"{name}={value}:{value}"
        for name, value in ((name, default if hard < 0 else min(hard, default)) for name, hard, default in limits)
    )
    why = "without CAP_SYS_RESOURCE nothing can go above the pod's hard limits"
    return Choice(values, Reason("ulimits", " ".join(values), why, SOURCE_LIMITS))


def _volumes(facts: Facts) -> Choice[tuple[str, ...]]:
    """Bind the pod's /proc where no fresh one can be mounted: containers then run all the same."""
    if facts.id_mode == "none" or not facts.mount_proc:
        return Choice(())
    why = "the kubelet masks parts of /proc, so no fresh one can be mounted: containers see the pod's"
    if facts.id_mode == "root":
        why += " (procMount: Unmasked gives them their own)"
    return Choice(("/proc:/proc",), Reason("volumes", "/proc:/proc", why, SOURCE_PROC))


def _lock_type(facts: Facts) -> Choice[LockType]:
    if facts.shm_bytes >= SHM_FOR_LOCKS:
        return Choice("")
    why = f"/dev/shm has {facts.shm_bytes} bytes, too few for podman's locks"
    return Choice.explained("lock_type", "file", why, SOURCE_LOCKS)


def _uts(facts: Facts) -> Choice[Uts]:
    if facts.id_mode == "none" or not facts.set_hostname:
        return Choice("private")
    why = f"no container may name itself here ({facts.set_hostname}): each has the pod's host name"
    return Choice.explained("uts", "host", why, SOURCE_COMMON_SECCOMP)


def _run_directory(facts: Facts) -> Choice[str]:
    if facts.uid != 0 or facts.run_directory == "/run":  # another user's podman never asks for /run
        return Choice("")
    why = "/run cannot be written (readOnlyRootFilesystem: true), so podman and its runtime keep their run state here"
    return Choice.explained("run_directory", facts.run_directory, why, SOURCE_RUN)


def _watched(facts: Facts, *, can_run: bool) -> Choice[tuple[str, ...]]:
    """Choose the verbs that the shim stays behind of, to name the cure when podman fails.

    A parent costs 1.1 ms more than exec, and cannot pass SIGKILL on (bench/README.md).
    """
    verbs: tuple[str, ...] = WATCHED
    if facts.id_mode == "root" and can_run:
        why = "containers have all they need here: only what takes seconds and fills disks is watched, the rest execs"
    else:
        why = "podman starts containers through a parent process here anyway"
        if facts.id_mode == "root":
            why = "no container starts here, and whoever asks for one is told why"
        verbs += WATCHED_RUNS
    return Choice(verbs, Reason("watched", " ".join(verbs), why, users.SOURCE_IDS))


def _volume_fix(facts: Facts) -> str:
    if "space" in facts.graphroot_error:
        return "free space on the volume (podman-agent gc) or give it more"
    if "ead-only" in facts.graphroot_error:
        return f"mount an emptyDir or PVC at {facts.volume}, without readOnly"
    cure = "(fsGroup with fsGroupChangePolicy: OnRootMismatch, or an emptyDir)"
    return f"give uid {facts.uid} write access to {facts.volume} {cure}"
