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
        volume: What is mounted at /var/lib/containers: disk, tmpfs, xfs, btrfs, none.
        before: A shell line run in the container first, as its user.
        env: Variables of the container.
    """

    title: str
    options: tuple[str, ...]
    expect: tuple[str, str, str, str, str]
    run: bool = True
    volume: str = "disk"
    before: str = ":"


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
        "SETUID, SETGID, SETFCAP only, allowPrivilegeEscalation: false, volume",
        (*capabilities("SETUID", "SETGID", "SETFCAP"), NO_SECCOMP, NO_NEW_PRIVS),
        _UNPRIVILEGED,
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
        "seccompProfile: RuntimeDefault, volume",
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
        before="cd /tmp",  # the image's own directory is its user's; the kubernetes plugin mounts a workspace there
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
}  # fmt: skip
