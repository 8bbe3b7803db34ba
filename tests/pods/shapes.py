"""The pod shapes: the options that make the outer podman start one, and what is expected there.

Options follow what the kubelet and containerd do for the pod fields named beside them; seccomp left undefined in a
pod means none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SECCOMP = Path(__file__).parents[1] / "fixtures/seccomp"
PROFILE = Path(__file__).parents[2] / "jenkins/seccomp/podman-agent.json"
# what containerd gives a container whose template names no capabilities
DEFAULT = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
NO_SECCOMP = "--security-opt=seccomp=unconfined"
NO_NEW_PRIVS = "--security-opt=no-new-privileges"


def capabilities(*names: str) -> tuple[str, ...]:
    """Exactly these capabilities."""
    return ("--cap-drop=all", *(f"--cap-add={name}" for name in names))


@dataclass(frozen=True)
class Shape:
    """One pod shape.

    Args:
        title: As the table of the README names it.
        options: For the outer ``podman run``.
        expect: Storage driver, isolation, runtime, cgroups, id mode.
        run: Whether containers run there.
        volume: What is mounted at /var/lib/containers: disk, tmpfs, xfs, btrfs, plain (no extended attributes), none.
        before: A shell line run in the container first, as its user.
        holds: A shell line that fails in the container unless it is what the title says.
        empty: Where else an emptyDir is mounted.
        network: host; own, with the registry on its loopback; or ipv6, the same with no address but ::1.
        owner: Whose the volume is, as an idmapped mount makes it appear to a pod with hostUsers: false.
    """

    title: str
    options: tuple[str, ...]
    expect: tuple[str, str, str, str, str]
    run: bool = True
    volume: str = "disk"
    before: str = ":"
    holds: str = ":"
    empty: tuple[str, ...] = ()
    network: str = "host"
    owner: int = 0


# the least a build works with; jenkins/pods/unprivileged.yaml adds DAC_OVERRIDE, for a workspace of user 1000's
_LEAST = (*capabilities("SETUID", "SETGID", "SETFCAP"), NO_SECCOMP, NO_NEW_PRIVS)
_READ_ONLY = ("--read-only", "--read-only-tmpfs=false")
_IS_READ_ONLY = "! touch /run/x /etc/x /var/cache/x 2>/dev/null"
# hostUsers: false gives each pod 65536 ids of its own, and runs it in a network namespace they own
_FIRST_ID = 200000
_USERNS = (f"--uidmap=0:{_FIRST_ID}:65536", f"--gidmap=0:{_FIRST_ID}:65536")
_IS_USERNS = f"grep -qE '^ +0 +{_FIRST_ID} +65536$' /proc/self/uid_map"
_IS_PLAIN = '! python3 -c \'import os; os.setxattr("/var/lib/containers", "user.x", b"")\' 2>/dev/null'
_UNPRIVILEGED = ("overlay", "chroot", "crun", "disabled", "mapped")
_PRIVILEGED = ("overlay", "oci", "crun", "enabled", "root")
_SINGLE = ("overlay", "rootless", "crun", "disabled", "single")

SHAPES = {
    "privileged-volume": Shape("privileged, volume", ("--privileged",), _PRIVILEGED),
    "privileged-no-volume": Shape("privileged, no volume", ("--privileged",), _PRIVILEGED, volume="none"),
    "default-volume": Shape("default capabilities, volume", (*capabilities(*DEFAULT), NO_SECCOMP), _UNPRIVILEGED),
    "default-no-volume": Shape(
        "default capabilities, no volume",
        (*capabilities(*DEFAULT), NO_SECCOMP),
        ("vfs", "chroot", "crun", "disabled", "mapped"),
        volume="none",
    ),
    "default-fuse": Shape(
        "default capabilities, /dev/fuse, no volume",
        (*capabilities(*DEFAULT), NO_SECCOMP, "--device=/dev/fuse"),
        _UNPRIVILEGED,
        volume="none",
    ),
    "least-capabilities": Shape(
        "SETUID, SETGID, SETFCAP only, allowPrivilegeEscalation: false, volume", _LEAST, _UNPRIVILEGED
    ),
    "sys-admin": Shape(
        "CAP_SYS_ADMIN added, volume",
        (*capabilities(*DEFAULT, "SYS_ADMIN"), NO_SECCOMP),
        ("overlay", "chroot", "crun", "disabled", "root"),
    ),
    "unmasked": Shape(
        "seccomp and /proc unconfined, volume",
        (*capabilities(*DEFAULT), NO_SECCOMP, "--security-opt=unmask=ALL"),
        _UNPRIVILEGED,
    ),
    "runtime-default": Shape(
        "seccompProfile: RuntimeDefault, volume (simulated by podman with containerd's profile)",
        (*capabilities(*DEFAULT), f"--security-opt=seccomp={SECCOMP / 'containerd-default.json'}"),
        ("vfs", "oci", "podman-agent-chroot", "disabled", "none"),
        run=False,
    ),
    "localhost-profile": Shape(
        "seccompProfile: Localhost with jenkins/seccomp/podman-agent.json, allowPrivilegeEscalation: false, volume",
        (
            *capabilities("SETUID", "SETGID", "SETFCAP"),
            f"--security-opt=seccomp={PROFILE}",
            NO_NEW_PRIVS,
        ),
        _UNPRIVILEGED,
    ),
    "podmans-profile": Shape(
        "podman's own seccomp profile (a runtime with containers/common's), SYS_CHROOT added, volume",
        capabilities("SETUID", "SETGID", "SETFCAP", "SYS_CHROOT"),
        _UNPRIVILEGED,
    ),
    "user-1000": Shape(
        "runAsUser: 1000, volume", ("--user=1000:1000", "--passwd=false", NO_SECCOMP), _UNPRIVILEGED
    ),
    "user-1000-no-new-privileges": Shape(
        "runAsUser: 1000, allowPrivilegeEscalation: false, volume",
        ("--user=1000:1000", "--passwd=false", NO_SECCOMP, NO_NEW_PRIVS),
        _SINGLE,
    ),
    "arbitrary-user": Shape(
        "arbitrary uid, gid 0, all capabilities dropped (OpenShift), volume",
        ("--user=1000650000:0", "--passwd=false", "--cap-drop=all", NO_SECCOMP, NO_NEW_PRIVS),
        _SINGLE,
    ),
    "no-cgroup": Shape(
        "privileged, no cgroup file system, volume",
        ("--privileged", "--tmpfs=/sys/fs/cgroup"),
        ("overlay", "chroot", "crun", "disabled", "root"),
    ),
    "low-limits": Shape(
        "privileged, nofile 256, nproc 128", ("--privileged", "--ulimit=nofile=256:256", "--ulimit=nproc=128:128"),
        _PRIVILEGED,
    ),
    "small-shm": Shape("privileged, 64 KiB of /dev/shm", ("--privileged", "--shm-size=64k"), _PRIVILEGED),
    "tmpfs": Shape(
        "default capabilities, emptyDir in memory", (*capabilities(*DEFAULT), NO_SECCOMP), _UNPRIVILEGED,
        volume="tmpfs",
    ),
    "xfs": Shape("default capabilities, xfs", (*capabilities(*DEFAULT), NO_SECCOMP), _UNPRIVILEGED, volume="xfs"),
    "btrfs": Shape("default capabilities, btrfs", (*capabilities(*DEFAULT), NO_SECCOMP), _UNPRIVILEGED, volume="btrfs"),
    "bare-environment": Shape(
        "privileged; HOME, TZ and locale unset", ("--privileged",), _PRIVILEGED, before="unset HOME TZ LANG LC_ALL",
    ),
    "bare-environment-unprivileged": Shape(
        "SETUID, SETGID, SETFCAP only; HOME, TZ and locale unset", _LEAST, _UNPRIVILEGED,
        before="unset HOME TZ LANG LC_ALL",
    ),
    "low-limits-unprivileged": Shape(
        "SETUID, SETGID, SETFCAP only, nofile 256, nproc 128",
        (*_LEAST, "--ulimit=nofile=256:256", "--ulimit=nproc=128:128"), _UNPRIVILEGED,
        holds="test $(ulimit -Hn) = 256 -a $(ulimit -Hu) = 128",
    ),
    "no-sys-resource": Shape(
        "privileged but for CAP_SYS_RESOURCE", ("--privileged", "--cap-drop=SYS_RESOURCE"), _PRIVILEGED,
        holds="! setpriv --dump | grep -q sys_resource",
    ),
    "cgroup-v1": Shape(
        "privileged, cgroup v1 only", ("--privileged",), _PRIVILEGED,
        holds="test -d /sys/fs/cgroup/pids -a ! -e /sys/fs/cgroup/unified",
    ),
    "cgroup-hybrid": Shape(
        "privileged, hybrid cgroups (simulated by binding the node's)",
        ("--privileged", "--volume=/sys/fs/cgroup:/sys/fs/cgroup"),
        ("overlay", "oci", "runc", "enabled", "root"),
        holds="test -d /sys/fs/cgroup/pids -a -e /sys/fs/cgroup/unified/cgroup.controllers",
    ),
    "user-namespaced": Shape(
        "hostUsers: false (simulated by --uidmap), SYS_ADMIN added, procMount: Unmasked (jenkins/pods/userns.yaml),"
        " volume",
        (*_USERNS, *capabilities(*DEFAULT, "SYS_ADMIN"), NO_SECCOMP, "--security-opt=unmask=ALL"),
        ("overlay", "chroot", "crun", "disabled", "root"), holds=_IS_USERNS, network="own", owner=_FIRST_ID,
    ),
    "user-namespaced-masked": Shape(
        "hostUsers: false (simulated by --uidmap), SYS_ADMIN added, volume",
        (*_USERNS, *capabilities(*DEFAULT, "SYS_ADMIN"), NO_SECCOMP),
        ("overlay", "chroot", "crun", "disabled", "root"),
        holds=f"{_IS_USERNS} && grep -q ' /proc/keys ' /proc/self/mounts", network="own", owner=_FIRST_ID,
    ),
    "user-namespaced-privileged": Shape(
        "hostUsers: false (simulated by --uidmap), privileged, volume", (*_USERNS, "--privileged"),
        ("overlay", "chroot", "crun", "disabled", "root"), holds=_IS_USERNS, network="own", owner=_FIRST_ID,
    ),
    "user-namespaced-default": Shape(
        "hostUsers: false (simulated by --uidmap), default capabilities, volume",
        (*_USERNS, *capabilities(*DEFAULT), NO_SECCOMP),
        _UNPRIVILEGED, holds=_IS_USERNS, network="own", owner=_FIRST_ID,
    ),
    "read-only-privileged": Shape(
        "privileged, readOnlyRootFilesystem: true, volume and emptyDir at /tmp", ("--privileged", *_READ_ONLY),
        _PRIVILEGED, holds=_IS_READ_ONLY, empty=("/tmp",),
    ),
    "read-only-unprivileged": Shape(
        "SETUID, SETGID, SETFCAP only, readOnlyRootFilesystem: true, volume and emptyDir at /tmp",
        (*_LEAST, *_READ_ONLY), _UNPRIVILEGED, holds=_IS_READ_ONLY, empty=("/tmp",),
    ),
    "ipv6-privileged": Shape(
        "privileged, no address but ::1 (simulated by taking 127.0.0.1 away)",
        ("--privileged",), _PRIVILEGED, network="ipv6",
        holds="! grep -q 127.0.0.1 /proc/net/fib_trie",
    ),
    "ipv6-unprivileged": Shape(
        "SETUID, SETGID, SETFCAP only, no address but ::1 (simulated by taking 127.0.0.1 away)",
        _LEAST, _UNPRIVILEGED, network="ipv6",
        holds="! grep -q 127.0.0.1 /proc/net/fib_trie",
    ),
    "plain-privileged": Shape(
        "privileged, NFS-like volume (no extended attributes, simulated by bindfs)", ("--privileged",),
        _PRIVILEGED, volume="plain", holds=_IS_PLAIN,
    ),
    "plain-unprivileged": Shape(
        "SETUID, SETGID, SETFCAP only, NFS-like volume (no extended attributes, simulated by bindfs)", _LEAST,
        ("vfs", "chroot", "crun", "disabled", "mapped"), volume="plain", holds=_IS_PLAIN,
    ),
}  # fmt: skip
