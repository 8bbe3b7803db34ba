"""A kubelet's fsGroup changes files inside image layers: it is noticed, and what was changed is put back.

With ``securityContext.fsGroup`` on a PersistentVolumeClaim a kubelet gives every file below the volume to the group at
each mount in a new pod, makes it group-writable and directories setgid
(https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/volume/volume_linux.go). Images then run, and are built upon,
with modes that are not theirs. A file of ours in each store tells: the walk is in the order of names, so that it is
changed before any layer of its store is, also where the walk is cut off.
"""

from __future__ import annotations

import errno
import functools
import gzip
import os
import stat
import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from podman_agent.pod import ids
from podman_agent.store.verify import UnprovenError, headers

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from podman_agent.store.beneath import Root
    from podman_agent.store.content import Content
    from podman_agent.store.layout import Store

PROBE = ".modes"  # before all other names of a store
_MODE = 0o600
_CAPABILITY = "security.capability"
_BASE = 0o555  # of a layer's root that has no entry of its own: defaultPerms, drivers/overlay/overlay.go
_UNMAPPED = (errno.EINVAL, errno.EPERM, errno.EOVERFLOW)


def changed(store: Store) -> bool:
    """Whether a kubelet has rewritten the modes of this store since they were last right.

    Of a store from before there was a probe, a volume whose root is setgid says that it may have.
    """
    found = store.root.mode(store.path / PROBE)
    if not found:
        return store.has_content and bool(store.root.lstat(store.volume).st_mode & stat.S_ISGID)
    return not stat.S_ISREG(found) or stat.S_IMODE(found) != _MODE


def place(store: Store) -> None:
    """Put the probe there anew: all modes are right."""
    if store.root.mode(probe := store.path / PROBE) != stat.S_IFREG | _MODE:
        store.root.remove(probe)
        store.root.replace(probe, b"", sync=False, mode=_MODE)


def disinherit(root: Root, *directories: Path) -> None:
    """Take the setgid bit from directories, as a volume with fsGroup has it: all that is made in one inherits it.

    So does the root of each container and layer that podman makes there.
    """
    for path in directories:
        found = root.mode(path)
        if stat.S_ISDIR(found) and found & stat.S_ISGID:
            root.chmod(path, stat.S_IMODE(found) & ~stat.S_ISGID)


def repair(content: Content, layers: Collection[str]) -> set[str]:
    """Give the files of layers the group, mode and capabilities that their tar headers say.

    Args:
        content: What the layers are of, in a store whose lock the caller holds.
        layers: Parents before their children.

    Returns:
        Those of which not all could be put right.
    """
    return ids.inside(functools.partial(_repair, content, layers), giving=True)


def _repair(content: Content, layers: Collection[str]) -> set[str]:
    root, home = content.within, content.layer_home
    disinherit(root, home, *(content.kind(kind) for kind in ("layers", "images", "containers")))
    disinherit(root, *(home / name for name, directory in root.entries(home) if directory))
    if content.driver != "overlay":
        return set(layers)  # vfs has all below in each layer, and its headers do not
    return {layer for layer in layers if not _repaired(content, layer)}


def _repaired(content: Content, layer: str) -> bool:
    diff, root = content.diff(layer), content.within
    seen: dict[str, tarfile.TarInfo] = {}
    try:
        for member in headers(content, layer):
            seen[member.name.removeprefix("./").strip("/")] = member
        for name, member in seen.items():
            path = f"{diff}/{name}" if name.strip(".") else str(diff)
            hidden = PurePosixPath(name).name.startswith(".wh.")
            if not hidden and not member.islnk() and root.mode(path):
                _put_right(content, path, member)
        if "" not in seen and "." not in seen:
            _put_root_right(content, layer)
        return all(name in seen for name in _directories(content, layer))
    except (OSError, EOFError, ValueError, KeyError, zlib.error, gzip.BadGzipFile, tarfile.TarError, UnprovenError):
        return False


def _put_right(content: Content, path: str, member: tarfile.TarInfo) -> None:
    fd = content.within.open(path, os.O_PATH)
    try:
        found, here = os.fstat(fd), f"/proc/self/fd/{fd}"
        link = stat.S_ISLNK(found.st_mode)
        if not link and any(name.endswith("override_stat") for name in os.listxattr(here)):
            raise OSError(errno.EOPNOTSUPP, "its real mode is in an attribute", path)
        if found.st_gid != member.gid:
            _give(content, path, member.gid)
        if not link and stat.S_IMODE(os.fstat(fd).st_mode) != member.mode & 0o7777:
            os.chmod(here, member.mode & 0o7777)  # noqa: PTH101 - a descriptor
        if capability := member.pax_headers.get(f"SCHILY.xattr.{_CAPABILITY}"):
            value = capability.encode("utf-8", "surrogateescape")
            if _CAPABILITY not in os.listxattr(here):  # a change of the group takes it away
                os.setxattr(here, _CAPABILITY, value)
    finally:
        os.close(fd)


def _give(content: Content, path: str, group: int) -> None:
    """Give a file to a group; where a pod has but one id, everything is that one's (storage's ignore_chown_errors)."""
    with content.within.parent(path) as (fd, name):
        try:
            os.chown(name, -1, group, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNMAPPED:
                raise
            os.chown(name, -1, os.getegid(), dir_fd=fd, follow_symlinks=False)


def _put_root_right(content: Content, layer: str) -> None:
    """The root of a layer that says nothing of it is as the one of the layer below."""
    below = content.layers[layer].get("parent")
    mode = stat.S_IMODE(content.within.mode(content.diff(below))) if below else _BASE
    own = tarfile.TarInfo()
    own.mode, own.type = mode, tarfile.DIRTYPE
    _put_right(content, str(content.diff(layer)), own)


def _directories(content: Content, layer: str) -> list[str]:
    """All directories of a layer; one that is in no header was made with a mode that nothing tells."""
    diff, found, below = content.diff(layer), [], [""]
    while below:
        here = below.pop()
        for name, directory in content.within.entries(f"{diff}/{here}".rstrip("/")):
            if directory:
                below.append(inside := f"{here}/{name}" if here else name)
                found.append(inside)
    return found
