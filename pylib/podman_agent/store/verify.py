"""Prove every layer of every image of a store: rebuild each layer's tar stream, compare digests.

containers-storage keeps of each layer the tar headers (``tar-split``) and the files, and the
sha256 of the uncompressed stream, the DiffID of the image specification
(https://github.com/opencontainers/image-spec/blob/main/config.md#layer-diffid). Headers and files
put together must give that digest; what the stream says of names, types, links, modes and
whiteouts must be on disk too, for those bytes come from ``tar-split`` alone. Then the image: each
stored blob has its digest, and the configuration's list of DiffIDs is the chain of layers.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import stat
import tarfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from podman_agent.errors import DataError
from podman_agent.pod import ids
from podman_agent.store.content import Content, Record, big_data_name, label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from podman_agent.store.beneath import Root

_CHUNK = 1 << 20
_LONGEST_LINE = 64 << 20  # bytes of an entry: headers of one file
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class Damage:
    """One thing that is not what it should be."""

    kind: str
    id: str
    why: str
    images: tuple[str, ...] = ()


@dataclass
class Report:
    """What a verification proved."""

    layers: int = 0
    images: int = 0
    size: int = 0
    unproven: list[Damage] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report for machines."""
        return asdict(self)


def verify(root: Path, within: Root | None = None) -> Report:
    """Check all of a graphroot; reads only, and takes no lock.

    Args:
        root: The graphroot.
        within: The volume that it lies below; None for the graphroot itself.


    A store in use changes meanwhile: what is gone when it is looked at again is not damage.
    """
    return ids.inside(lambda: _verify(root, within))


def _verify(root: Path, within: Root | None) -> Report:
    report = Report()
    try:
        contents = Content.all(root, within)
    except DataError as error:
        report.damage.append(Damage("store", str(root), error.what))
        return report
    except PermissionError as error:
        report.unproven.append(Damage("store", str(root), f"{error.strerror}: it belongs to another user"))
        return report
    for content in contents:
        users: dict[str, list[str]] = {}
        for image in content.images.values():
            for top in content.top_layers(image):
                for layer in content.chain(top):
                    users.setdefault(layer, []).append(label(image))
        for layer, names in users.items():
            _verify_layer(content, layer, tuple(names), report)
        for image in content.images.values():
            report.images += 1
            why = check_image(content, image)
            if why and image["id"] in Content.read(content.root, content.driver, content.within).images:
                report.damage.append(Damage("image", image["id"], why, (label(image),)))
    return report


def _verify_layer(content: Content, layer: str, users: tuple[str, ...], report: Report) -> None:
    report.layers += 1
    report.size += content.layers[layer].get("diff-size", 0)
    try:
        why = check_layer(content, layer) or _check_stack(content, layer)
    except UnprovenError as error:
        report.unproven.append(Damage("layer", layer, str(error), users))
        return
    record = Content.read(content.root, content.driver, content.within).layers.get(layer) if why else None
    if record and not (record.get("flags") or {}).get("incomplete"):
        report.damage.append(Damage("layer", layer, why, users))


class UnprovenError(Exception):
    """There is no digest, or no record of headers, to compare with."""


class _Rebuilt:
    """The layer's tar stream, rebuilt and hashed while it is read."""

    def __init__(self, content: Content, layer: str) -> None:
        self.diff, self.root = content.diff(layer), content.within
        self.hash = hashlib.sha256()
        self.size = 0
        self.fault = ""
        self._chunks = self._rebuild(content.tar_split(layer))
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; tarfile's stream mode needs nothing else."""
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        out, self._rest = self._rest[:size], self._rest[size:]
        self.hash.update(out)
        self.size += len(out)
        return out

    def _rebuild(self, split: Path) -> Iterator[bytes]:
        # 1 is a file, 2 a segment: https://github.com/vbatts/tar-split tar/storage/entry.go
        with open(self.root.regular(split), "rb") as packed, gzip.open(packed) as lines:  # noqa: PTH123 - a descriptor
            while line := lines.readline(_LONGEST_LINE):
                entry = json.loads(line)
                if entry["type"] == 2:
                    yield base64.b64decode(entry["payload"])
                elif entry.get("size"):
                    raw = entry.get("name_raw")
                    name = base64.b64decode(raw) if raw else os.fsencode(entry["name"])
                    yield from self._file(name, entry["size"])

    def _file(self, name: bytes, size: int) -> Iterator[bytes]:
        left = size
        try:
            fd = self.root.regular(f"{self.diff}/{os.fsdecode(name.lstrip(b'/'))}")
        except OSError as error:
            self.fault = f"{os.fsdecode(name)}: {error.strerror}"
        else:
            with os.fdopen(fd, "rb", buffering=0) as file:
                while left and (chunk := file.read(min(left, _CHUNK))):
                    left -= len(chunk)
                    yield chunk
                if left or file.read(1):
                    self.fault = f"{os.fsdecode(name)}: size is not {size}"
        while left:  # so that all other names are still compared
            part = min(left, _CHUNK)
            left -= part
            yield bytes(part)


class _Headers(_Rebuilt):
    """The same with zeros for what files hold: only the headers count."""

    def _file(self, name: bytes, size: int) -> Iterator[bytes]:  # noqa: ARG002
        while size:
            part = min(size, _CHUNK)
            size -= part
            yield bytes(part)


def headers(content: Content, layer: str) -> Iterator[tarfile.TarInfo]:
    """The tar headers of a layer, from its tar-split alone.

    Raises:
        UnprovenError: They were not kept.
        OSError: They cannot be read.
        ValueError: They are torn; also KeyError, EOFError, `zlib.error` and `tarfile.TarError`.
    """
    if not content.within.mode(content.tar_split(layer)):
        why = "no tar-split on record"
        raise UnprovenError(why)
    with tarfile.open(fileobj=_Headers(content, layer), mode="r|") as archive:  # type: ignore[call-overload]
        yield from archive


def check_layer(content: Content, layer: str) -> str:
    """Prove one layer.

    Returns:
        What is wrong with it, the first finding; empty when nothing is.

    Raises:
        UnprovenError: Its record has no digest, or its headers were not kept.
    """
    record = content.layers[layer]
    expected = record.get("diff-digest", "")
    if not content.within.is_dir(content.diff(layer)):
        return "its files are gone"
    if not expected.startswith("sha256:"):
        why = "no digest on record"
        raise UnprovenError(why)
    if not content.within.mode(content.tar_split(layer)):
        why = "no tar-split on record"
        raise UnprovenError(why)
    stream = _Rebuilt(content, layer)
    seen: set[str] = set()
    fault = ""
    try:
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=0) as archive:  # type: ignore[call-overload]
            for member in archive:
                name = member.name.removeprefix("./").strip("/")
                fault = fault or _check_member(content, layer, name, member)
                seen.add(name)
        while stream.read(_CHUNK):
            pass
    except (
        EOFError,
        ValueError,
        KeyError,
        zlib.error,
        gzip.BadGzipFile,
        tarfile.TarError,
    ) as error:
        return f"its tar-split is torn: {error}"
    except OSError as error:
        return f"{error.filename or 'a file of it'} cannot be read: {error.strerror}"
    if stream.fault or fault:
        return stream.fault or fault
    if f"sha256:{stream.hash.hexdigest()}" != expected:
        return f"its digest is not {expected[:19]}"
    try:
        return _extra(content, layer, seen) if content.driver == "overlay" else ""
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"


def _check_stack(content: Content, layer: str) -> str:
    """Whether overlay is told the layer's own short name and those of all layers below it."""
    chain = content.chain(layer)
    if content.driver != "overlay" or content.layers[chain[-1]].get("parent"):
        return ""  # the rest lies in a read-only store
    try:
        names = [_word(content, content.layer_home / i / "link") for i in chain]
        if not names[0]:
            return "link: empty"
        if len(chain) == 1:
            return ""
        lower = _word(content, content.layer_home / layer / "lower")
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return "" if lower.split(":") == [f"l/{n}" for n in names[1:]] else "lower: does not name the layers below"


def _word(content: Content, path: Path) -> str:
    return content.within.read(path, _CHUNK).decode("ascii", "replace").strip()


def _check_member(content: Content, layer: str, name: str, member: tarfile.TarInfo) -> str:
    """What the tar header says and the disk does not; empty when they agree."""
    path = content.diff(layer) / name
    if path.name == _OPAQUE:
        return ""  # kept as an extended attribute that not every pod may read
    if path.name.startswith(_WHITEOUT):
        return _check_whiteout(content, path)
    try:
        found = content.within.lstat(path)
    except OSError as error:
        # An unprivileged pod cannot make devices: they are left out when a layer is unpacked.
        return "" if member.isdev() else f"{name}: {error.strerror}"
    if member.issym():
        same = stat.S_ISLNK(found.st_mode) and content.within.readlink(path) == member.linkname
    elif member.isdir():
        same = stat.S_ISDIR(found.st_mode)
    elif member.islnk():
        same = not stat.S_ISDIR(found.st_mode) and _linked(content, content.diff(layer) / member.linkname, found)
    elif member.isreg():
        same = stat.S_ISREG(found.st_mode) and (
            stat.S_IMODE(found.st_mode) == member.mode & 0o7777 or _mode_elsewhere(path)
        )
    else:
        same = True
    return "" if same else f"{name}: type, mode or target is not what the layer says"


def _linked(content: Content, target: Path, found: os.stat_result) -> bool:
    """Whether a hard link is one; vfs copies each layer, and a target that is missing is a finding of its own."""
    try:
        return content.driver != "overlay" or os.path.samestat(content.within.lstat(target), found)
    except OSError:
        return True


def _mode_elsewhere(path: Path) -> bool:
    """Whether the real mode is in an attribute (storage.conf force_mask)."""
    names = os.listxattr(path, follow_symlinks=False)
    return any(n.endswith((".override_stat", ".containers.override_stat")) for n in names)


def _check_whiteout(content: Content, path: Path) -> str:
    hidden = path.with_name(path.name.removeprefix(_WHITEOUT))
    try:
        mode = content.within.lstat(hidden).st_mode
    except FileNotFoundError:
        mode = 0
    if content.driver != "overlay":
        return f"{hidden.name}: deleted in the layer but there" if mode else ""
    # fuse-overlayfs without privileges keeps the .wh. file itself.
    gone = stat.S_ISCHR(mode) or content.within.mode(path) != 0
    return "" if gone else f"{hidden.name}: its whiteout is gone"


def _extra(content: Content, layer: str, seen: set[str]) -> str:
    """A file on disk that the layer does not have."""
    diff, root = content.diff(layer), content.within
    parents = {str(p) for s in seen for p in PurePosixPath(s).parents}
    below = [""]
    while below:
        here = below.pop()
        for name, is_dir in root.entries(f"{diff}/{here}".rstrip("/")):
            inside = f"{here}/{name}" if here else name
            if is_dir:
                below.append(inside)
            if inside in seen or inside in parents:
                continue
            whiteout = str(PurePosixPath(inside).with_name(_WHITEOUT + name))
            if not (stat.S_ISCHR(root.mode(f"{diff}/{inside}")) and whiteout in seen):
                return f"{inside}: not in the layer"
    return ""


def check_image(content: Content, image: Record) -> str:
    """Prove an image's blobs and its list of layers; empty when they are right."""
    home = content.kind("images") / image["id"]
    blobs: dict[str, bytes] = {}
    for name, digest in (image.get("big-data-digests") or {}).items():
        try:
            blobs[name] = content.within.read(home / big_data_name(name))
        except OSError as error:
            return f"{name}: {error.strerror}"
        if f"sha256:{hashlib.sha256(blobs[name]).hexdigest()}" != digest:
            return f"{name}: its digest is not {digest[:19]}"
    if not image.get("layer"):
        return ""
    try:
        manifest = json.loads(blobs["manifest"])
        config = json.loads(blobs[manifest["config"]["digest"]])
        wanted = config["rootfs"]["diff_ids"]
    except (KeyError, TypeError, ValueError):
        return "its manifest names no configuration that is here"
    chain = content.chain(image["layer"])
    found = [content.layers[layer].get("diff-digest") for layer in reversed(chain)]
    below = content.layers[chain[-1]].get("parent") if chain else image["layer"]
    if below and content.sound(below):  # the rest lies in a read-only store of the distribution
        wanted = wanted[-len(found) :] if found else []
    return "" if found == wanted else "its layers are not those of its configuration"


def torn(content: Content, doubtful: Collection[str]) -> set[str]:
    """Those of these layers that are not what their record says, or of which nothing can tell.

    Args:
        content: What the layers are of.
        doubtful: Layers to be read, such as those of `podman_agent.store.durable.doubtful` after a crash of the node.
    """
    return ids.inside(lambda: {layer for layer in doubtful if layer in content.layers and _is_torn(content, layer)})


def _is_torn(content: Content, layer: str) -> bool:
    try:
        return bool(check_layer(content, layer) or _check_stack(content, layer))
    except UnprovenError:
        return True
