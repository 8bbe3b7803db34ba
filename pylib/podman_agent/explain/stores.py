"""Storage drivers, shared stores, broken stores, full disks."""

from __future__ import annotations

from podman_agent.explain.explanation import BUILDAH, PODMAN, Explanation

_OVERLAY = "https://github.com/containers/storage/blob/v1.57.2/drivers/overlay/overlay.go"
_VOLUME = "mount an emptyDir or PVC at /var/lib/containers"
DISK_FULL = Explanation(
    "Error: copying system image from manifest list: writing blob: write /var/tmp/x: no space left on device",
    r"(?:\b[Nn]o space left on device|[Dd]isk quota exceeded)",
    "a file system of this pod is full",
    "podman-agent gc, or more space for the volume at /var/lib/containers",
    "https://man7.org/linux/man-pages/man3/errno.3.html",
    again=False,
    name="disk full",
)
HEADING = "Storage"
RULES = (
    DISK_FULL,
    Explanation(
        "'overlay' is not supported over overlayfs, a mount_program is required",
        r"'overlay' is not supported over (overlayfs|<unknown>)",
        "the graphroot is on the container's own overlay root file system",
        f"{_VOLUME}, or give the pod /dev/fuse",
        BUILDAH + "3666",
    ),
    Explanation(
        "Error: 'overlay' is not supported over extfs at \"/home/u/.local/share/containers/storage/overlay\"",
        r"'overlay' is not supported over (?!overlayfs\b)\w+",
        "the kernel lets this user mount no overlay",
        "securityContext.privileged: true, a node with Linux 5.11 or later, or PODMAN_AGENT_STORAGE_DRIVER=vfs",
        PODMAN + "9908",
    ),
    Explanation(
        "fuse: device not found, try 'modprobe fuse' first",
        r"fuse: device not found, try 'modprobe fuse'",
        "fuse-overlayfs is configured and the pod has no /dev/fuse",
        f"{_VOLUME}, which makes native overlay work, or add a fuse device plugin's resource limit",
        PODMAN + "8918",
    ),
    Explanation(
        "a network file system with user namespaces is not supported.  Please use a mount_program",
        r"a network file system with user namespaces is not supported",
        "the volume is on NFS, CephFS or the like",
        "use a block-backed PVC or an emptyDir at /var/lib/containers",
        _OVERLAY,
    ),
    Explanation(
        'database graph driver "" does not match our graph driver "overlay"',
        r"User-selected graph driver .* overwritten by graph driver|database graph driver .* does not match",
        "the store on this volume was made with another storage driver",
        "use an empty volume, or PODMAN_AGENT_STORAGE_DRIVER with the driver it was made with",
        PODMAN + "5114",
    ),
    Explanation(
        'Error: database static dir "/a" does not match our "/b": database configuration mismatch',
        r"database configuration mismatch",
        "the store on this volume was made with other paths",
        "mount the volume at /var/lib/containers as before, or remove libpod/db.sql in it (images stay)",
        PODMAN + "24738",
    ),
    Explanation(
        "Ignoring global metacopy option, not supported with booted kernel",
        r"Ignoring global metacopy option",
        "the distribution's storage.conf asks for metacopy, which this mount cannot have",
        "nothing: it is a warning; the agent's own storage.conf does not ask for it",
        _OVERLAY,
    ),
    Explanation(
        "current system boot ID differs from cached boot ID; an unhandled reboot has occurred",
        r"current system boot ID differs from cached boot ID",
        "podman's run directories are on a volume that outlived the node's boot",
        "keep /run/containers and /run/libpod off the volume, and delete the directories named",
        PODMAN + "26823",
    ),
    Explanation(
        "lock /var/lib/shared/overlay-layers/layers.lock is not a read-only lock",
        r"lock \S+ is not a read-only lock",
        "an additional image store has no lock files that a reader may open",
        "populate the store before mounting it read-only",
        PODMAN + "9852",
    ),
    Explanation(
        "Error: creating build container: layer not known",
        r"(^|: )layer not known\b|top layer \S+ (of image \S+ )?not found in layer tree"
        r"|[Ii]mage \S+ exists in local storage but may be corrupted",
        "an image was removed while a build used it, or a pod was killed while it wrote this store, or two wrote it",
        "build again; if it stays so, podman system check --quick --repair --force; one pod per store",
        PODMAN + "14003",
    ),
    Explanation(
        "Storage for container 1234abcd has been removed",
        r"Storage for container \S+ has been removed",
        "parallel containers raced on a transient store",
        "unset transient_store",
        PODMAN + "19020",
    ),
)
