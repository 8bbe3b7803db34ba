"""Every closed set of values, as a type: mypy names each place that has a value which is in none of them.

Compare with ``==``; a set of several is a constant with a type (`ROOTLESS`), for mypy infers none for ``in {...}``.
"""

from __future__ import annotations

from typing import Final, Literal

NOT_TRIED: Final = "not tried"  # in place of the outcome of a trial

# what podman may do with user ids: it is the pod's root, maps a range, maps one, can make no namespace at all
IdMode = Literal["root", "mapped", "single", "none"]
ROOTLESS: Final[tuple[IdMode, ...]] = ("mapped", "single")
# what tells stores on a volume apart that cannot be shared; each but the first two is followed by the uid
StoreKind = Literal["root", "userns", "rootless", "single", "bare"]

CgroupVersion = Literal["v1", "v2", "hybrid", "none"]
Cgroups = Literal["enabled", "disabled"]
CgroupManager = Literal["cgroupfs", "systemd"]

ChosenDriver = Literal["overlay", "vfs"]
StorageDriver = Literal[ChosenDriver, "btrfs", "zfs"]  # c/storage goes on with a store that was made with one of these
MadeWith = Literal["", StorageDriver]  # what a graphroot was made with, empty when it is new

OciRuntime = Literal["crun", "runc"]
ChrootRuntime = Literal["podman-agent-chroot"]  # ours, for a pod that allows no namespace
Runtime = Literal[OciRuntime, ChrootRuntime]
Isolation = Literal["oci", "chroot", "rootless"]

Events = Literal["file", "none", "journald"]
LogDriver = Literal["k8s-file", "none", "passthrough", "journald"]
Network = Literal["host", "bridge", "none"]
Uts = Literal["private", "host"]
LockType = Literal["", "file"]
BuildFormat = Literal["docker", "oci"]
GzipLevel = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9"]
CompressionLevel = Literal["", GzipLevel]  # empty is podman's own

CacheLocks = Literal["auto", "trust", "never"]

TrustLevel = Literal["unprivileged", "userns", "privileged"]

# every program a rule asks for
Program = Literal[
    "podman", "buildah", "skopeo", "crun", "runc", "conmon", "fuse-overlayfs",
    "newuidmap", "nft", "netavark", "pasta", "ps",
    "podman-agent-chroot", "podman-without-namespaces", "podman-agent-conmon",
]  # fmt: skip
