"""What this machine must have: installs what is missing with its package manager, saying what.

Standard library only, because the tools that use it run before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Need(NamedTuple):
    """A thing to have: how it is seen to be there, and the packages that bring it."""

    probe: str  # a command, an absolute path, or module: and a module of the Python that runs this
    debian: tuple[str, ...]
    rpm: tuple[str, ...]


# Recommends are not installed, so what podman needs on top is named: catatonit for `kube play`,
# runc for hosts with hybrid cgroups (crun refuses those), uid-map tools for user namespaces.
NEEDS: dict[str, Need] = {
    "bindfs": Need("bindfs", ("bindfs",), ("bindfs",)),
    "btrfs": Need("mkfs.btrfs", ("btrfs-progs",), ("btrfs-progs",)),
    "busybox": Need("busybox", ("busybox-static",), ("busybox",)),
    "containerd": Need("ctr", ("containerd", "runc"), ("containerd", "runc")),
    "debian-archive-keyring": Need(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        ("debian-archive-keyring",),
        ("debian-keyring",),
    ),
    "docker-registry": Need("docker-registry", ("docker-registry",), ("docker-distribution",)),
    "ecj": Need("ecj", ("ecj", "default-jre-headless"), ("ecj", "java-21-openjdk-headless")),
    "ext4": Need("mkfs.ext4", ("e2fsprogs",), ("e2fsprogs",)),
    "git": Need("git", ("git",), ("git-core",)),
    "groovy": Need(
        "/usr/share/java/groovy-all.jar", ("groovy", "default-jre-headless"), ("groovy", "java-21-openjdk-headless")
    ),
    "htpasswd": Need("htpasswd", ("apache2-utils",), ("httpd-tools",)),
    "iproute2": Need("ip", ("iproute2",), ("iproute",)),
    "mmdebstrap": Need("mmdebstrap", ("mmdebstrap",), ("mmdebstrap",)),
    "podman": Need(
        "podman",
        ("podman", "runc", "netavark", "catatonit", "uidmap", "ca-certificates"),
        ("podman", "crun", "netavark", "catatonit", "shadow-utils", "ca-certificates"),
    ),
    "procps": Need("pgrep", ("procps",), ("procps-ng",)),
    "python3-venv": Need("module:ensurepip", ("python3-venv",), ("python3",)),
    "qemu": Need(
        "qemu-system-x86_64", ("qemu-system-x86", "seabios"), ("qemu-system-x86-core", "virtiofsd", "seabios")
    ),
    "runc": Need("runc", ("runc",), ("runc",)),
    "shellcheck": Need("shellcheck", ("shellcheck",), ("ShellCheck",)),
    "skopeo": Need("skopeo", ("skopeo",), ("skopeo",)),
    "xfs": Need("mkfs.xfs", ("xfsprogs",), ("xfsprogs",)),
}


class HostError(Exception):
    """The machine lacks something that could not be installed; one line that says what to do."""


def missing(*needs: str) -> list[str]:
    """The needs that are not there, in the order asked.

    Args:
        needs: Names from `NEEDS`.
    """
    return [name for name in needs if not _present(NEEDS[name].probe)]


def ensure(*needs: str) -> None:
    """Install what is not there; says on stderr what it installs.

    Args:
        needs: Names from `NEEDS`.

    Raises:
        HostError: Not root, no package manager known here, or it failed.
    """
    lacking = missing(*needs)
    if not lacking:
        return
    if shutil.which("apt-get"):
        packages = [package for name in lacking for package in NEEDS[name].debian]
        commands = [
            ["apt-get", "-q", "update"],
            ["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages],
        ]
    elif shutil.which("dnf"):
        packages = [package for name in lacking for package in NEEDS[name].rpm]
        commands = [["dnf", "-y", "--setopt=install_weak_deps=0", "install", *packages]]
    else:
        what = f"this machine lacks {', '.join(lacking)} and has neither apt-get nor dnf; install them"
        raise HostError(what)
    if os.geteuid() != 0:
        what = f"this machine lacks {', '.join(lacking)}; as root: {' '.join(commands[-1])}"
        raise HostError(what)
    print(f"installing on this machine: {' '.join(packages)}", file=sys.stderr, flush=True)
    for command in commands:
        _run(command)
    still = missing(*lacking)
    if still:
        what = f"{' '.join(packages)} installed, but {', '.join(still)} still not found"
        raise HostError(what)


def unpack(*packages: str, into: Path) -> None:
    """Unpack Debian's packages into a directory, and install nothing: no service starts, nothing conflicts.

    Args:
        packages: Names of packages; what they depend on is not fetched.
        into: A directory that is theirs alone; when it is there, nothing is done.

    Raises:
        HostError: No apt, or it failed.
    """
    if into.is_dir():
        return
    if not shutil.which("apt-get"):
        what = f"{', '.join(packages)} come from Debian's packages, and this machine has no apt-get"
        raise HostError(what)
    print(f"unpacking into {into}: {' '.join(packages)}", file=sys.stderr, flush=True)
    aside = into.with_name(f".{os.getpid()}.{into.name}")
    aside.mkdir(parents=True)
    try:
        _run(["apt-get", "-q", "update"])
        _run(["apt-get", "-q", "download", *packages], cwd=aside)
        for archive in aside.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(archive), str(aside)])
            archive.unlink()
        aside.rename(into)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _present(probe: str) -> bool:
    if probe.startswith("module:"):
        return importlib.util.find_spec(probe.removeprefix("module:")) is not None
    if probe.startswith("/"):
        return Path(probe).exists()
    # sbin is not on everybody's PATH
    return shutil.which(probe, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        what = f"`{' '.join(command)}` failed ({done.returncode}): {last}"
        raise HostError(what)


def main(needs: list[str]) -> int:
    """Have what the command line names."""
    unknown = [name for name in needs if name not in NEEDS]
    if unknown or not needs:
        print(f"host: unknown: {', '.join(unknown) or 'nothing'}; known are {', '.join(NEEDS)}", file=sys.stderr)
        return 64
    try:
        ensure(*needs)
    except HostError as error:
        print(f"host: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
