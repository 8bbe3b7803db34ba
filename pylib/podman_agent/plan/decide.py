"""What podman is to use in this pod: one pure function from `Facts` to `Plan`.

`decide` is a list of rules in order. Each gives its choice with the reason and the source of the rule; a
choice can be forced by one ``PODMAN_AGENT_*`` variable, and is then checked against what the pod allows.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError, EngineMissingError, PodRefusalError, VolumeError
from podman_agent.plan import runtimes as containers
from podman_agent.plan import speed as tuning
from podman_agent.plan.choices import Reason, Rules
from podman_agent.plan.overrides import PREFIX, mirrors, overrides_from, split
from podman_agent.plan.refusals import DROP, Refusal
from podman_agent.pod import idmode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.pod.facts import Facts

# what podman asks for when nothing else is said: pkg/specgen and common/pkg/config (v5.4.2)
PODMAN_NOFILE = 1048576

SOURCE_OVERLAY = "https://github.com/containers/storage/blob/v1.57.2/drivers/overlay/overlay.go"
# every new container is a reboot to podman, which then refreshes the database of a store others may use
SOURCE_REFRESH = "https://github.com/containers/podman/issues/9191"
SOURCE_PROC = "https://github.com/containers/image_build/blob/main/podman/podman-containers.conf"
SOURCE_IDS = "https://github.com/containers/podman/blob/v5.4.2/pkg/rootless/rootless_linux.go"
# libpod's 2048 locks are semaphores in one segment of /dev/shm; a smaller /dev/shm ends podman by SIGBUS
SHM_FOR_LOCKS = 1 << 20
CRUN_REFUSES, USERNS_FIX = containers.CRUN_REFUSES, containers.USERNS_FIX
# what a build without any namespace fails without, each seen to (docs/seccomp.md): layers and steps have files of
# other owners, steps change user, and what an aborted one leaves is killed
CHROOT_CAPABILITIES = (*("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SYS_CHROOT"),)
WATCHED = ("build", "buildx", "bud", "commit", "image", "import", "load", "pull", "push")
WATCHED_RUNS = ("container", "create", "run", "start")
CHROOT_FIX = "capabilities.add: [SYS_CHROOT], or leave seccompProfile undefined"
SOURCE_COMMON_SECCOMP = "https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json"
NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb2", "ceph", "gpfs", "lustre", "ocfs2")  # as overlay.go has them
SOURCE_COMPRESSION = "https://github.com/containers/common/blob/v0.62.3/docs/containers.conf.5.md"
SOURCE_RUN = "https://github.com/containers/crun/blob/1.21/src/libcrun/status.c"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything podman is told in this pod. Paths are absolute; an empty string means that it is not set."""

    podman: str
    programs: Mapping[str, str]
    graphroot: str
    runroot: str
    additional_stores: tuple[str, ...]
    storage_driver: str
    mount_program: str
    mount_options: str
    isolation: str
    runtime: str
    cgroups: str
    cgroup_manager: str
    events: str
    log_driver: str
    network: str
    ulimits: tuple[str, ...]
    build_format: str
    tmpdir: str
    mirrors: tuple[tuple[str, str], ...]
    insecure: tuple[str, ...]
    can_run: bool
    reasons: tuple[Reason, ...]
    id_mode: str = "root"  # root, mapped, single, none: what podman may do with user ids
    volumes: tuple[str, ...] = ()  # bound into every container
    lock_type: str = ""
    uts: str = "private"
    run_directory: str = ""  # for what podman and its runtime keep in /run
    runroot_in_memory: bool = False
    collector: tuple[str, ...] = ()  # variables of Go's garbage collector
    compression_level: str = ""  # of gzip, for layers that are pushed
    exec_monitor: str = ""  # what `docker exec` has for conmon
    watched: tuple[str, ...] = ()  # verbs whose failure the shim explains, at the price of a parent

    def to_json(self) -> str:
        """The plan as a JSON object."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan that `to_json` wrote."""
        loaded = json.loads(text)
        loaded = {name: tuple(value) if isinstance(value, list) else value for name, value in loaded.items()}
        loaded["reasons"] = tuple(Reason(**reason) for reason in loaded["reasons"])
        return cls(**loaded | {"mirrors": tuple((registry, mirror) for registry, mirror in loaded["mirrors"])})


def _storage(facts: Facts, rules: Rules, id_mode: str) -> tuple[str, str]:
    """Choose the storage driver and, for overlay, the mount program."""
    native = facts.overlay if facts.privileged else facts.overlay_userns
    fuse = facts.programs.get("fuse-overlayfs", "") if facts.fuse_device else ""
    if id_mode == "none":
        native, fuse = native if native != "not tried" else "no mount at all is allowed", ""
    if not native and not facts.privileged and facts.graphroot_fs in NETWORK_FILE_SYSTEMS:
        native = "podman takes no network file system in a user namespace"
    where = f"{facts.graphroot_fs or 'the file system'} under {facts.graphroot}"
    if not native:
        usable, why = "overlay", f"a trial overlay mount on {where} worked"
    elif fuse:
        usable, why = "overlay", f"the kernel refused overlay on {where} ({native}), but /dev/fuse is here"
    else:
        usable, why = "vfs", f"the kernel refused overlay on {where} ({native}), and there is no /dev/fuse"
    made = facts.graphroot_driver
    if made and made != usable and "STORAGE_DRIVER" not in rules.overrides and usable == "overlay":
        usable, why = made, f"the store was made with {made}, and a store keeps the driver it was made with"
    driver = rules.choose("STORAGE_DRIVER", usable, why, SOURCE_OVERLAY)
    if made and made != driver:
        what = f"the store at {facts.graphroot} was made with storage driver {made}, not {driver}"
        if "STORAGE_DRIVER" in rules.overrides:
            raise ConfigError(what, fix=f"unset {PREFIX}STORAGE_DRIVER or use another volume")
        fix = "mount a volume at /var/lib/containers that this pod can use overlay on, or an empty one"
        raise PodRefusalError(what, why, fix)
    if driver != "overlay":
        return driver, ""
    if native and not fuse:
        what = f"{PREFIX}STORAGE_DRIVER=overlay cannot be had in this pod"
        raise PodRefusalError(what, native, "mount an emptyDir or PVC at /var/lib/containers, or drop the variable")
    return driver, fuse if native else ""


def _ulimits(facts: Facts, rules: Rules) -> tuple[str, ...]:
    if "SYS_RESOURCE" in facts.capabilities and facts.host_user_namespace:
        why = "CAP_SYS_RESOURCE lets podman raise limits itself"
        source = "https://man7.org/linux/man-pages/man2/setrlimit.2.html"
        rules.reasons.append(Reason("ulimits", "podman's own", why, source))
        return ()
    limits = []
    # podman lowers its own nproc to the kernel's pid_max before it starts anything, and cannot raise it again
    for name, hard, default in (
        ("nofile", facts.nofile_hard, PODMAN_NOFILE),
        ("nproc", facts.nproc_hard, facts.pid_max),
    ):
        value = default if hard < 0 else min(hard, default)
        limits.append(f"{name}={value}:{value}")
    why = "without CAP_SYS_RESOURCE nothing can go above the pod's hard limits"
    rules.reasons.append(Reason("ulimits", " ".join(limits), why, "https://github.com/containers/podman/issues/24692"))
    return tuple(limits)


def _id_mode(facts: Facts, rules: Rules) -> str:
    """Choose what podman may do with user ids, which is what tells the pod shapes apart.

    Raises:
        PodRefusalError: Neither a user namespace nor a chroot can be had.
    """
    mode = idmode.id_mode(
        facts.uid,
        sys_admin="SYS_ADMIN" in facts.capabilities,
        set_ids={"SETUID", "SETGID"} <= set(facts.capabilities),
        nodes_own=facts.host_user_namespace,
        no_new_privs=facts.no_new_privs,
        user_namespace=lambda: facts.user_namespace,
        subordinate_ids=lambda: facts.subordinate_ids,
    )
    if mode == "none":
        what = "podman can neither build nor run containers in this pod"
        why = f"no user namespace can be made ({facts.user_namespace})"
        if facts.uid != 0:
            raise PodRefusalError(what, f"{why}, and uid {facts.uid} may not chroot", USERNS_FIX)
        if missing := [name for name in CHROOT_CAPABILITIES if name not in facts.capabilities]:
            names = ", ".join(missing)
            fix = f"{USERNS_FIX}, or capabilities.add: [{names}]"
            raise PodRefusalError(what, f"{why}, and a build without one needs {names}", fix)
        if not {containers.CHROOT_RUNTIME, "podman-without-namespaces"} <= set(facts.programs):
            raise PodRefusalError(what, why, USERNS_FIX)
    elif mode == "root":
        why = "root with CAP_SYS_ADMIN needs no user namespace"
    elif facts.chroot:
        what = "podman can unpack no layer in this pod"
        raise PodRefusalError(what, f"its seccomp profile refuses chroot ({facts.chroot})", CHROOT_FIX)
    elif mode == "mapped":
        why = "root without CAP_SYS_ADMIN makes a user namespace with all its ids"
        if facts.uid:
            why = f"uid {facts.uid} has {facts.subordinate_ids} subordinate ids in /etc/subuid"
    else:
        why = "allowPrivilegeEscalation: false keeps newuidmap from mapping a range"
        if facts.uid == 0 or not facts.no_new_privs:
            why = f"uid {facts.uid} has no subordinate ids it may map"
        why += ": images hold files of one owner only"
    rules.reasons.append(Reason("ids", mode, why, SOURCE_IDS))
    return mode


def _volumes(facts: Facts, rules: Rules, id_mode: str) -> tuple[str, ...]:
    """Bind the pod's /proc where no fresh one can be mounted: containers then run all the same."""
    if id_mode == "none" or not facts.mount_proc:
        return ()
    why = "the kubelet masks parts of /proc, so no fresh one can be mounted: containers see the pod's"
    if facts.privileged:
        why += " (procMount: Unmasked gives them their own)"
    rules.reasons.append(Reason("volumes", "/proc:/proc", why, SOURCE_PROC))
    return ("/proc:/proc",)


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
    overrides = overrides_from(env)
    if not facts.podman:
        msg = "podman is not installed in this container"
        raise EngineMissingError(msg, fix="use the jenkins-podman-agent image, or install podman")
    if facts.graphroot_error:
        what = f"cannot write in the graphroot {facts.graphroot}"
        raise VolumeError(what, facts.graphroot_error, _volume_fix(facts))
    rules = Rules(facts, overrides)
    if facts.store:
        rules.reasons.append(Reason("store", facts.store, facts.store_note, SOURCE_REFRESH))
    id_mode = rules.id_mode = _id_mode(facts, rules)
    driver, mount_program = _storage(facts, rules, id_mode)
    runtime, cgroups = containers.runtime_and_cgroups(facts, rules, id_mode)
    can_run = id_mode != "none" and not containers.starts_nothing(facts, runtime, cgroups)
    manager = rules.choose(
        "CGROUP_MANAGER",
        "systemd" if facts.systemd else "cgroupfs",
        "systemd is PID 1 here" if facts.systemd else "systemd does not run in this container",
        "https://github.com/containers/common/blob/v0.62.3/pkg/config/systemd.go",
    )
    events = rules.choose(
        "EVENTS",
        "file",
        "there is no journal in a container",
        "https://github.com/containers/podman/issues/4325",
    )
    log_driver = rules.choose(
        "LOG_DRIVER",
        "k8s-file",
        "there is no journal in a container, and CentOS packages journald as the default",
        "https://github.com/containers/podman/issues/26910",
    )
    isolation = containers.isolation(facts, rules, id_mode, runtime, cgroups)
    network = _network(facts, rules, id_mode, isolation)
    build_format = rules.choose(
        "BUILD_FORMAT",
        "docker",
        "the OCI format would drop HEALTHCHECK, SHELL and ONBUILD",
        "https://github.com/containers/buildah/issues/2388",
    )
    return Plan(
        podman=facts.podman,
        programs=dict(facts.programs),
        graphroot=facts.graphroot,
        runroot=facts.runroot,
        additional_stores=facts.additional_stores,
        storage_driver=driver,
        mount_program=mount_program,
        mount_options="fsync=0" if mount_program else "",
        isolation=isolation,
        runtime=runtime,
        cgroups=cgroups,
        cgroup_manager=manager,
        events=events,
        log_driver=log_driver,
        network=network,
        ulimits=_ulimits(facts, rules),
        build_format=build_format,
        tmpdir=facts.tmpdir or facts.graphroot.rstrip("/") + ".tmp",
        mirrors=mirrors(overrides.get("MIRRORS", "")),
        insecure=tuple(split("INSECURE_REGISTRIES", overrides.get("INSECURE_REGISTRIES", ""))),
        can_run=can_run,
        volumes=_volumes(facts, rules, id_mode),
        lock_type=_lock_type(facts, rules),
        uts=_uts(facts, rules, id_mode),
        run_directory=_run_directory(facts, rules),
        runroot_in_memory=rules.tuned(tuning.runroot(facts, id_mode)) == tuning.MEMORY,
        collector=tuple(rules.tuned(tuning.collector()).split()),
        compression_level=_compression(rules),
        exec_monitor=rules.tuned(tuning.exec_monitor(facts, can_run=can_run)),
        watched=_watched(rules, id_mode, can_run=can_run),
        id_mode=id_mode,
        reasons=tuple(rules.reasons),
    )


def _network(facts: Facts, rules: Rules, id_mode: str, isolation: str) -> str:
    """Choose the network of containers.

    Raises:
        PodRefusalError: The forced one would leave build steps without any that can be set up.
    """
    network = rules.choose(
        "NETWORK",
        "host",
        "the pod is the network: no bridge, no NAT, no nft; docker run -p asks for a bridge by itself",
        "https://github.com/containers/image_build/blob/main/podman/containers.conf",
    )
    if network == "none" and id_mode in {"mapped", "single"} and isolation != "chroot" and not facts.tun:
        # buildah gives a step that is a container one of its own by pasta, whatever containers have
        why = f"build steps with isolation {isolation} then ask for /dev/net/tun, which is not here"
        forced = tuple(name for name in ("NETWORK", "ISOLATION") if name in rules.overrides)
        rules.refuse(forced, Refusal(why, DROP))
    return network


def _uts(facts: Facts, rules: Rules, id_mode: str) -> str:
    if id_mode == "none" or not facts.set_hostname:
        return "private"
    why = f"no container may name itself here ({facts.set_hostname}): each has the pod's host name"
    rules.reasons.append(Reason("uts", "host", why, SOURCE_COMMON_SECCOMP))
    return "host"


def _run_directory(facts: Facts, rules: Rules) -> str:
    if facts.uid != 0 or facts.run_directory == "/run":  # another user's podman never asks for /run
        return ""
    why = "/run cannot be written (readOnlyRootFilesystem: true), so podman and its runtime keep their run state here"
    rules.reasons.append(Reason("run_directory", facts.run_directory, why, SOURCE_RUN))
    return facts.run_directory


def _watched(rules: Rules, id_mode: str, *, can_run: bool) -> tuple[str, ...]:
    """Choose the verbs that the shim stays behind of, to name the cure when podman fails.

    A parent costs 1.1 ms more than exec, and cannot pass SIGKILL on (bench/README.md).
    """
    verbs: tuple[str, ...] = WATCHED
    if id_mode == "root" and can_run:
        why = "containers have all they need here: only what takes seconds and fills disks is watched, the rest execs"
    else:
        why = "podman starts containers through a parent process here anyway"
        if id_mode == "root":
            why = "no container starts here, and whoever asks for one is told why"
        verbs += WATCHED_RUNS
    rules.reasons.append(Reason("watched", " ".join(verbs), why, SOURCE_IDS))
    return verbs


def _compression(rules: Rules) -> str:
    """Choose the gzip level of pushed layers: what a fast one saves its pusher, everybody who pulls pays in bytes."""
    if "COMPRESSION_LEVEL" not in rules.overrides:
        return ""
    return rules.choose("COMPRESSION_LEVEL", "5", "podman's own", SOURCE_COMPRESSION)


def _lock_type(facts: Facts, rules: Rules) -> str:
    if facts.shm_bytes >= SHM_FOR_LOCKS:
        return ""
    why = f"/dev/shm has {facts.shm_bytes} bytes, too few for podman's locks"
    source = "https://docs.podman.io/en/latest/markdown/podman-system-renumber.1.html"
    rules.reasons.append(Reason("lock_type", "file", why, source))
    return "file"


def _volume_fix(facts: Facts) -> str:
    if "space" in facts.graphroot_error:
        return "free space on the volume (podman-agent gc) or give it more"
    if "ead-only" in facts.graphroot_error:
        return f"mount an emptyDir or PVC at {facts.volume}, without readOnly"
    return f"give uid {facts.uid} write access to {facts.volume} (securityContext.fsGroup, or an emptyDir)"
