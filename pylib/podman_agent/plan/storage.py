"""Which storage driver podman has here, and what mounts it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError, PodRefusalError
from podman_agent.plan.choices import Choice, Refusal, choose, refuse
from podman_agent.pod import variables
from podman_agent.pod.values import NOT_TRIED

if TYPE_CHECKING:
    from podman_agent.pod.facts import Facts
    from podman_agent.pod.values import StorageDriver
    from podman_agent.pod.variables import Forced

SOURCE_OVERLAY = "https://github.com/containers/storage/blob/v1.57.2/drivers/overlay/overlay.go"
NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb2", "ceph", "gpfs", "lustre", "ocfs2")  # as overlay.go has them


def overlay_refused(facts: Facts) -> str:
    """Why podman cannot mount the kernel's overlay where the graphroot is; empty where it can.

    Args:
        facts: What the pod is.
    """
    native = facts.overlay if facts.id_mode == "root" else facts.overlay_userns
    if facts.id_mode == "none":
        return "no mount at all is allowed" if native == NOT_TRIED else native
    if not native and facts.id_mode != "root" and facts.graphroot_fs in NETWORK_FILE_SYSTEMS:
        return "podman takes no network file system in a user namespace"
    return native


def _fuse(facts: Facts) -> str:
    return facts.program("fuse-overlayfs") if facts.fuse_device and facts.id_mode != "none" else ""


def storage_driver(facts: Facts, forced: Forced) -> Choice[StorageDriver]:
    """Choose the storage driver.

    Args:
        facts: What the pod is.
        forced: The variables that are set.

    Raises:
        ConfigError: The store was made with another one than is forced.
        PodRefusalError: The store was made with one that this pod cannot use, or overlay is forced where there is none.
    """
    native, fuse = overlay_refused(facts), _fuse(facts)
    where = f"{facts.graphroot_fs or 'the file system'} under {facts.graphroot}"
    usable: StorageDriver = "overlay"
    if not native:
        why = f"a trial overlay mount on {where} worked"
    elif fuse:
        why = f"the kernel refused overlay on {where} ({native}), but /dev/fuse is here"
    else:
        usable, why = "vfs", f"the kernel refused overlay on {where} ({native}), and there is no /dev/fuse"
    made = facts.graphroot_driver
    if made and made != usable and usable == "overlay" and variables.STORAGE_DRIVER not in forced:
        usable, why = made, f"the store was made with {made}, and a store keeps the driver it was made with"
    chosen = choose(variables.STORAGE_DRIVER, forced, usable, why, SOURCE_OVERLAY)
    if made and made != chosen.value:
        what = f"the store at {facts.graphroot} was made with storage driver {made}, not {chosen.value}"
        if variables.STORAGE_DRIVER in forced:
            fix = f"unset {variables.STORAGE_DRIVER.full_name} or use another volume"
            raise ConfigError(what, fix=fix)
        fix = "mount a volume at /var/lib/containers that this pod can use overlay on, or an empty one"
        raise PodRefusalError(what, why, fix)
    if chosen.value == "overlay" and native and not fuse:
        fix = "mount an emptyDir or PVC at /var/lib/containers, or drop the variable"
        refuse(forced, (variables.STORAGE_DRIVER,), Refusal(native, fix))
    return chosen


def mount_program(facts: Facts, driver: StorageDriver) -> str:
    """What mounts overlay where the kernel does not; empty where it does.

    Args:
        facts: What the pod is.
        driver: As chosen.
    """
    return _fuse(facts) if driver == "overlay" and overlay_refused(facts) else ""
