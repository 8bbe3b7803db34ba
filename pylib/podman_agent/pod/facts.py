"""What this pod is: every read of /proc and /sys and every trial, and no decision.

`read()` is the only way facts come to be; recorded facts of real pods (``podman-agent facts``) are what the
tests of `podman_agent.plan.decide.decide` run on.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import struct
import subprocess
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from podman_agent.errors import DataError
from podman_agent.pod import capabilities, idmode, ids, trials
from podman_agent.pod.values import NOT_TRIED, ROOTLESS, Program
from podman_agent.pod.volume import DEFAULT, existing_ancestor, passed_over

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.pod.capabilities import Capability
    from podman_agent.pod.values import CgroupVersion, IdMode, MadeWith

UNLIMITED = -1
PROGRAMS: tuple[Program, ...] = get_args(Program)
OURS = ("/opt/podman-agent/entrypoint", str(Path(__file__).parents[2] / "entrypoint"))
SHIM = "podman-agent-shim"  # what every shim of ours links to

# linux/magic.h: what statfs(2) says of the file systems a graphroot is met on
FILE_SYSTEMS = {
    0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x01021994: "tmpfs", 0x794C7630: "overlayfs",
    0x6969: "nfs", 0xFF534D42: "cifs", 0xFE534D42: "smb2", 0x65735546: "fuse", 0x2FC12FC1: "zfs",
    0x47504653: "gpfs", 0x0BD00BD0: "lustre", 0x7461636F: "ocfs2", 0x00C36400: "ceph",
    0x01021997: "9p", 0x63677270: "cgroup2", 0x27E0EB: "cgroup", 0x62656572: "sysfs",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """One pod, as far as podman cares.

    Sizes are bytes; a trial is empty when it worked, else the kernel's words.
    """

    uid: int = 0
    gid: int = 0
    capabilities: tuple[Capability, ...] = ()
    no_new_privs: bool = False
    seccomp: bool = False
    uid_map: tuple[tuple[int, int, int], ...] = ((0, 0, idmode.WHOLE_UID_RANGE),)
    subordinate_ids: int = 0
    nofile_hard: int = UNLIMITED
    nproc_hard: int = UNLIMITED
    pid_max: int = 4194304
    cgroup: CgroupVersion = "none"
    cgroup_writable: bool = False
    cgroup_node: bool = False  # /sys/fs/cgroup is the whole node's, not this container's part of it
    systemd: bool = False
    volume: str = str(DEFAULT)
    volume_mounted: bool = False
    volume_passed_over: str = ""  # one that the pod mounts for the store, and this user cannot write
    graphroot: str = str(DEFAULT / "storage")
    graphroot_fs: str = ""
    graphroot_error: str = ""
    graphroot_driver: MadeWith = ""  # the driver it was made with
    additional_stores: tuple[str, ...] = ()
    tmpdir: str = ""  # on the volume, beside the graphroot
    store: str = ""  # the claimed store as `podman-agent cache ls` names it
    store_note: str = ""
    runroot: str = "/run/containers/storage"
    run_directory: str = "/run"  # where root's podman may keep its run state
    runroot_fs: str = ""  # only in a container: what is mounted on a machine is not our business
    overlay: str = ""
    overlay_userns: str = NOT_TRIED
    user_namespace: str = ""
    mount_proc: str = ""
    chroot: str = ""
    set_hostname: str = ""
    fuse_device: bool = False
    tun: bool = False
    journal: bool = False
    shm_bytes: int = 67108864
    kernel: str = ""
    podman: str = ""
    podman_version: tuple[int, ...] = ()
    programs: Mapping[Program, str] = field(default_factory=dict)

    @property
    def id_mode(self) -> IdMode:
        """What podman may do with user ids, which is what tells the pod shapes apart."""
        return idmode.id_mode(
            self.uid,
            capabilities=self.capabilities,
            nodes_own=self.host_user_namespace,
            no_new_privs=self.no_new_privs,
            user_namespace=lambda: self.user_namespace,
            subordinate_ids=lambda: self.subordinate_ids,
        )

    def has(self, capability: Capability) -> bool:
        """Whether a capability is in force."""
        return capabilities.includes(self.capabilities, capability)

    def program(self, name: Program) -> str:
        """The path of a program; empty where it is not installed."""
        return self.programs.get(name, "")

    @property
    def host_user_namespace(self) -> bool:
        """Whether ids here are the node's own: only there does CAP_SYS_RESOURCE raise a hard limit."""
        return idmode.is_nodes_own(self.uid_map)

    def to_json(self) -> str:
        """The facts as a JSON object, one fact a line."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Read recorded facts; facts a recording does not name keep their defaults.

        Raises:
            DataError: The text is no JSON object, or names something that is no fact.
        """
        try:
            loaded: dict[str, Any] = json.loads(text)
            unknown = set(loaded) - {f.name for f in fields(cls)}
        except (ValueError, TypeError) as error:
            msg = "recorded facts are unreadable"
            raise DataError(msg, str(error)) from error
        if unknown:
            msg = "recorded facts name unknown facts"
            raise DataError(msg, ", ".join(sorted(unknown)))
        for name in ("capabilities", "podman_version", "additional_stores"):
            if name in loaded:
                loaded[name] = tuple(loaded[name])
        if "uid_map" in loaded:
            loaded["uid_map"] = tuple(tuple(row) for row in loaded["uid_map"])
        return cls(**loaded)


def file_system(path: Path) -> str:
    """Name the file system `path` is on, by statfs(2); its magic number in hex when it has no name here."""
    import ctypes  # noqa: PLC0415 - keeps `facts` importable at no cost

    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).statfs(os.fsencode(path), buffer) != 0:
        return ""
    magic: int = struct.unpack_from("l", buffer)[0] & 0xFFFFFFFF
    return FILE_SYSTEMS.get(magic, hex(magic))


def _cgroup(root: Path = Path("/sys/fs/cgroup")) -> tuple[CgroupVersion, bool]:
    kind = file_system(root)
    if kind == "cgroup2":
        return "v2", trials.make_cgroup(root)
    if kind != "tmpfs" or not (root / "pids").is_dir():
        return "none", False
    version: CgroupVersion = "hybrid" if file_system(root / "unified") == "cgroup2" else "v1"
    return version, all(trials.make_cgroup(root / name) for name in ("pids", "memory"))


def driver_made_with(graphroot: Path) -> MadeWith:
    """Name the storage driver a graphroot was made with, empty when it is new.

    The directories are what c/storage itself goes by when no driver is configured
    (https://github.com/containers/storage/blob/main/drivers/driver.go, ScanPriorDrivers).
    """
    known: tuple[MadeWith, ...] = ("overlay", "vfs", "btrfs", "zfs")
    for driver in known:
        images = graphroot / f"{driver}-images" / "images.json"
        layers = graphroot / f"{driver}-layers" / "layers.json"
        if images.exists() or layers.exists():
            return driver
    return ""


def _write_error(directory: Path) -> str:
    """Say why nothing can be written in `directory`; empty when it can, with blocks to spare."""
    trial = directory / f".podman-agent-trial-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        try:
            trial.write_bytes(b"\0" * 65536)
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _version(command: str) -> tuple[int, ...]:
    try:
        # podman looks for its configuration even then, and stops where HOME is `/` and another user's
        env = {**os.environ, "XDG_CONFIG_HOME": "/tmp"}
        done = subprocess.run([command, "--version"], env=env, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(n) for n in match.groups()) if match else ()


def find_program(name: str, path: str) -> str:
    """Find a program on `path` that is not one of our own shims.

    Args:
        name: Program name.
        path: A PATH value.
    """
    for directory in [*path.split(os.pathsep), "/usr/bin", "/usr/sbin", "/usr/libexec/podman", *OURS]:
        candidate = Path(directory or ".") / name
        if os.access(candidate, os.X_OK) and candidate.is_file() and candidate.resolve().name != SHIM:
            return str(candidate)
    return ""


def find_programs(path: str) -> dict[Program, str]:
    """Find every program a rule asks for, by name; those that are not installed are left out."""
    return {name: found for name in PROGRAMS if (found := find_program(name, path))}


def _systemd() -> bool:
    try:
        first = Path("/proc/1/comm").read_text().strip()
    except OSError:
        return False
    return first == "systemd" and Path("/run/systemd/system").is_dir()


class Store(NamedTuple):
    """Where podman's store is to be: a claimed one, or a graphroot of the caller's own."""

    graphroot: Path
    additional: tuple[Path, ...] = ()
    tmp: Path | None = None
    name: str = ""
    note: str = ""


def read(
    env: Mapping[str, str],
    *,
    volume: Path,
    store: Store,
    runroot: Path,
    state: Path,
) -> Facts:
    """Look at this pod. Takes tens of milliseconds, so it is done once per container start.

    Args:
        env: The environment, for PATH.
        volume: Where the cache volume is mounted.
        store: The directory podman's store is to be in, and what belongs to it.
        runroot: Where the store's run state goes: never on the volume.
        state: A directory that can be written in place of /run.
    """
    status = capabilities.status()
    effective = capabilities.effective()
    uid = os.geteuid()
    path = env.get("PATH", os.defpath)
    graphroot = store.graphroot
    programs = find_programs(path)
    podman = programs.get("podman", "")
    write_error = _write_error(graphroot)
    there = existing_ancestor(graphroot)
    version, writable = _cgroup()
    user_namespace = trials.user_namespace()
    uid_map = trials.uid_map()
    no_new_privs = status.get("NoNewPrivs") == "1"
    subordinate_ids = ids.subordinate_count(uid)
    mode = idmode.id_mode(
        uid,
        capabilities=effective,
        nodes_own=idmode.is_nodes_own(uid_map),
        no_new_privs=no_new_privs,
        user_namespace=lambda: user_namespace,
        subordinate_ids=lambda: subordinate_ids,
    )
    own_userns = mode != "root"  # podman then makes a user namespace for itself, and trials are made in one
    userns_overlay = NOT_TRIED
    if not write_error and mode in ROOTLESS:
        userns_overlay = trials.overlay(there, userns=True, userxattr=True)
    return Facts(
        uid=uid,
        gid=os.getegid(),
        capabilities=effective,
        no_new_privs=no_new_privs,
        seccomp=status.get("Seccomp") == "2",
        uid_map=uid_map,
        subordinate_ids=subordinate_ids,
        nofile_hard=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        nproc_hard=resource.getrlimit(resource.RLIMIT_NPROC)[1],
        pid_max=int(Path("/proc/sys/kernel/pid_max").read_text()),
        cgroup=version,
        cgroup_writable=writable,
        # every cgroup but the root of the hierarchy has a type
        cgroup_node=version == "v2" and not Path("/sys/fs/cgroup/cgroup.type").exists(),
        systemd=_systemd(),
        volume=str(volume),
        volume_mounted=os.path.ismount(volume),
        volume_passed_over=passed_over(env, uid),
        graphroot=str(graphroot),
        graphroot_fs=file_system(there),
        graphroot_error=write_error,
        graphroot_driver=driver_made_with(graphroot),
        additional_stores=tuple(str(path) for path in store.additional),
        tmpdir=str(store.tmp or ""),
        store=store.name,
        store_note=store.note,
        runroot=str(runroot),
        run_directory="/run" if os.access("/run", os.W_OK) else str(state),
        overlay=write_error or trials.overlay(there, userns=False, userxattr=trials.in_user_namespace()),
        runroot_fs=file_system(existing_ancestor(runroot)) if "container" in env else "",
        overlay_userns=userns_overlay,
        user_namespace=user_namespace,
        mount_proc=trials.mount_proc(userns=own_userns),
        chroot=user_namespace or trials.chroot(userns=own_userns),
        set_hostname=user_namespace or trials.set_hostname(userns=own_userns),
        fuse_device=trials.open_device("/dev/fuse"),
        tun=trials.open_device("/dev/net/tun"),
        journal=Path("/run/systemd/journal/socket").exists(),
        shm_bytes=shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else 0,
        kernel=os.uname().release,
        podman=podman,
        podman_version=_version(podman) if podman else (),
        programs=programs,
    )
