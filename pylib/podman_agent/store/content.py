"""What lies in a containers-storage directory, read from its own JSON files.

containers-storage keeps, per driver, ``DRIVER-layers/layers.json``, ``DRIVER-images/images.json``
and ``DRIVER-containers/containers.json`` (plus ``volatile-`` twins for what need not survive a
crash), each replaced in one step, and the bytes under ``DRIVER/``
(https://github.com/containers/storage, layers.go, images.go, containers.go,
drivers/overlay/overlay.go). Reading them needs no engine and no lock.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.errors import DataError
from podman_agent.store.beneath import Root
from podman_agent.store.record import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podman_agent.store.layout import Store

Record = dict[str, Any]

DRIVERS = ("overlay", "vfs")
_DIRECTORIES = {
    driver: (*(f"{driver}{part}" for part in ("", "-layers", "-images", "-containers")), *below)
    for driver, below in (("overlay", ("overlay/l", "overlay/staging", "overlay/tempdirs")), ("vfs", ("vfs/dir",)))
}
_ID = re.compile(r"[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[.0-9a-z]*")
# Read-only stores that distributions add by default; their layers may be parents of ours.
_SYSTEM_STORES = (Path("/usr/lib/containers/storage"), Path("/var/lib/shared"))


def is_id(name: str) -> bool:
    """Whether a directory name is a layer, image or container id."""
    return _ID.fullmatch(name) is not None


def big_data_name(key: str) -> str:
    """The file name of an image's big data item (containers-storage, makeBigDataBaseName)."""
    if _PLAIN_NAME.fullmatch(key):
        return key
    return "=" + base64.standard_b64encode(key.encode()).decode()


# What a field is, where there is one; a hostile record must not be what stops the work on all others.
_KINDS: dict[str, tuple[type, type | None]] = {
    **dict.fromkeys(("parent", "created", "layer", "image", "diff-digest"), (str, None)),
    **dict.fromkeys(("names", "mapped-layers", "big-data-names"), (list, str)),
    "diff-size": (int, None),
    "flags": (dict, None),
    "big-data-sizes": (dict, int),
    "big-data-digests": (dict, str),
}


def _is_record(record: Record) -> bool:
    """Whether a record is one of podman's: its id becomes part of paths, so it must be one."""
    if not isinstance(record["id"], str) or not is_id(record["id"]):
        return False
    for name, (kind, of) in _KINDS.items():
        if record.get(name) is None:
            continue
        if not isinstance(record[name], kind):
            return False
        items: Iterable[Any] = record[name].values() if kind is dict else record[name]
        if of and not all(isinstance(item, of) for item in items):
            return False
    return True


def _records(path: Path, root: Root) -> dict[str, Record]:
    listed = read_json(path, root) or []
    try:
        if all(_is_record(record) for record in listed):
            return {record["id"]: record for record in listed}
    except (AttributeError, TypeError, KeyError):
        pass
    what = f"{path} is not a list of records"
    raise DataError(what)


@dataclass
class Content:
    """Layers, images and containers of one driver in one containers-storage directory.

    Attributes:
        root: The graphroot.
        within: What is trusted: the volume that the graphroot lies below, or the graphroot itself.
    """

    root: Path
    driver: str
    layers: dict[str, Record] = field(default_factory=dict)
    images: dict[str, Record] = field(default_factory=dict)
    containers: dict[str, Record] = field(default_factory=dict)
    within: Root = field(kw_only=True)

    @classmethod
    def read(cls, root: Path, driver: str, within: Root | None = None) -> Content:
        """Read one driver's files; images first, so that their layers are at least as new.

        Args:
            root: The graphroot.
            driver: One of `DRIVERS`.
            within: As the attribute; None for the graphroot itself.

        Raises:
            DataError: One of the files is torn or none of podman's, or a symbolic link would lead to another store.
            OSError: One of them cannot be read.
        """
        within = within or Root(root)
        if link := next((root / name for name in _DIRECTORIES[driver] if within.is_symlink(root / name)), None):
            what = f"{link} is a symbolic link"
            raise DataError(what)
        images = _records(root / f"{driver}-images/images.json", within)
        layers = _records(root / f"{driver}-layers/layers.json", within)
        layers |= _records(root / f"{driver}-layers/volatile-layers.json", within)
        containers = _records(root / f"{driver}-containers/containers.json", within)
        containers |= _records(root / f"{driver}-containers/volatile-containers.json", within)
        return cls(root, driver, layers, images, containers, within=within)

    @classmethod
    def all(cls, root: Path, within: Root | None = None) -> list[Content]:
        """One `Content` for each driver the directory was used with; arguments and errors as for `read`."""
        if within is None:
            try:
                within = Root(root)
            except FileNotFoundError:
                return []
        return [cls.read(root, d, within) for d in DRIVERS if within.mode(root / f"{d}-layers")]

    @classmethod
    def of(cls, store: Store) -> list[Content]:
        """As `all`, of a store on a volume."""
        return cls.all(store.graphroot, store.root)

    def kind(self, what: str) -> Path:
        """The directory of ``layers``, ``images`` or ``containers``."""
        return self.root / f"{self.driver}-{what}"

    @property
    def layer_home(self) -> Path:
        """The directory whose entries are layers."""
        return self.root / "overlay" if self.driver == "overlay" else self.root / "vfs" / "dir"

    def diff(self, layer: str) -> Path:
        """The directory with the layer's files."""
        return Path(self._diff_text(layer))

    def _diff_text(self, layer: str) -> str:
        return f"{self.root}/overlay/{layer}/diff" if self.driver == "overlay" else f"{self.root}/vfs/dir/{layer}"

    def tar_split(self, layer: str) -> Path:
        """The file from which, with the diff, the layer's tar stream can be rebuilt."""
        return self.kind("layers") / f"{layer}.tar-split.gz"

    def top_layers(self, image: Record) -> list[str]:
        """An image's top layers: one, none for a manifest list, more with id-mapped copies."""
        tops = [image.get("layer") or "", *(image.get("mapped-layers") or [])]
        return [t for t in tops if t]

    def chain(self, layer: str) -> list[str]:
        """A layer and its ancestors, top first; ends where the record of a parent is missing."""
        found: list[str] = []
        while layer in self.layers and layer not in found:
            found.append(layer)
            layer = self.layers[layer].get("parent") or ""
        return found

    @cached_property
    def _present(self) -> set[str]:
        return {name for name, _ in self.within.entries(self.layer_home)}

    @cached_property
    def _sound(self) -> dict[str, bool]:
        return {}

    def sound(self, layer: str) -> bool:
        """Whether a layer and all its ancestors are complete, as far as a look can tell."""
        if layer not in self._sound:
            self._sound[layer] = False  # a cycle is not sound either
            record = self.layers.get(layer)
            if record is None:
                self._sound[layer] = any((root / self.driver / layer).is_dir() for root in _SYSTEM_STORES)
            else:
                self._sound[layer] = (
                    not record.get("flags", {}).get("incomplete")
                    and layer in self._present
                    and os.path.isdir(self._diff_text(layer))  # noqa: PTH112 - as in image_fault
                    and (not record.get("parent") or self.sound(record["parent"]))
                )
        return self._sound[layer]

    def used_layers(self) -> set[str]:
        """All layers that an image or a container stands on."""
        tops = [t for image in self.images.values() for t in self.top_layers(image)]
        tops += [container.get("layer") or "" for container in self.containers.values()]
        return {layer for top in tops for layer in self.chain(top)}

    def working_layers(self) -> set[str]:
        """The layers that containers write to: never an image's, and of no digest."""
        return {container.get("layer") or "" for container in self.containers.values()}

    def condemn(self, layers: set[str]) -> None:
        """Take layers as not sound, whatever they look like, and what stands on them too."""
        self._sound.clear()
        self._sound.update(dict.fromkeys(layers, False))

    def image_fault(self, image: Record) -> str:
        """Why an image cannot be used, as far as a look can tell; empty when it can."""
        for top in self.top_layers(image):
            if not self.sound(top):
                return f"layer {top[:12]} is not complete"
        # Hundreds of images at every claim: strings, for a Path costs more than the stat.
        home = f"{self.root}/{self.driver}-images/{image['id']}"
        for name, size in (image.get("big-data-sizes") or {}).items():
            try:
                found = os.stat(f"{home}/{big_data_name(name)}").st_size  # noqa: PTH116
            except FileNotFoundError:
                found = -1
            if found != size:
                return f"its {name.partition('-')[0]} is torn" if found >= 0 else f"no {name}"
        return self._blob_fault(image) if self.top_layers(image) else ""

    def _blob_fault(self, image: Record) -> str:
        """Whether the record was cut off before manifest and configuration were added to it."""
        names = image.get("big-data-names") or []
        if "manifest" not in names:
            return "no manifest"
        if f"sha256:{image['id']}" in names:
            return ""
        try:
            manifest = read_json(self.kind("images") / image["id"] / "manifest", self.within)
        except DataError:
            return "its manifest is torn"
        config = manifest.get("config", {}).get("digest") if isinstance(manifest, dict) else None
        # A manifest without configuration is of the old schema 1 and complete as it is.
        return "" if config is None or config in names else "no configuration"

    def stored(self, image: str) -> float:
        """When an image came into this store (Unix seconds)."""
        try:
            return self.within.lstat(self.kind("images") / image).st_mtime
        except FileNotFoundError:
            return 0.0

    def save_images(self) -> None:
        """Write the images back."""
        write_json(self.kind("images") / "images.json", list(self.images.values()), self.within)

    def save_layers(self) -> None:
        """Write the layers back, each parent before its children."""
        ordered = sorted(self.layers.values(), key=lambda r: len(self.chain(r["id"])))
        write_json(self.kind("layers") / "layers.json", ordered, self.within)
        write_json(self.kind("layers") / "volatile-layers.json", [], self.within)

    def save_containers(self) -> None:
        """Write the containers back."""
        write_json(self.kind("containers") / "containers.json", list(self.containers.values()), self.within)
        write_json(self.kind("containers") / "volatile-containers.json", [], self.within)


def image_names(root: Path, within: Root | None = None) -> set[str]:
    """All names of all images of a store; empty when it cannot be read; arguments as for `Content.read`."""
    try:
        found = Content.all(root, within)
    except DataError:
        return set()
    return {n for c in found for i in c.images.values() for n in i.get("names") or []}


def label(image: Record) -> str:
    """How to call an image to a person: its first name, else its short id."""
    name = str((image.get("names") or [image["id"][:12]])[0])
    return name if name.isprintable() else ascii(name)


def stamp(record: dict[str, str]) -> float:
    """Unix time of a record's ``created``; 0 when it has none."""
    try:
        return datetime.fromisoformat(record["created"][:19] + "+00:00").timestamp()
    except (KeyError, ValueError):
        return 0.0
