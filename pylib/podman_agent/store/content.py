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
from typing import Any

from podman_agent.errors import DataError
from podman_agent.store import layout
from podman_agent.store.record import read_json, write_json

Record = dict[str, Any]

DRIVERS = ("overlay", "vfs")
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


def _records(path: Path) -> dict[str, Record]:
    listed = read_json(path) or []
    try:
        return {record["id"]: record for record in listed}
    except (TypeError, KeyError) as error:
        what = f"{path} is not a list of records"
        raise DataError(what) from error


@dataclass
class Content:
    """Layers, images and containers of one driver in one containers-storage directory."""

    root: Path
    driver: str
    layers: dict[str, Record] = field(default_factory=dict)
    images: dict[str, Record] = field(default_factory=dict)
    containers: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path, driver: str) -> Content:
        """Read one driver's files; images first, so that their layers are at least as new.

        Raises:
            DataError: One of the files is torn, or a symbolic link would lead to another store.
        """
        if links := layout.planted(root):
            what = f"{links[0]} is a symbolic link"
            raise DataError(what)
        images = _records(root / f"{driver}-images/images.json")
        layers = _records(root / f"{driver}-layers/layers.json")
        layers |= _records(root / f"{driver}-layers/volatile-layers.json")
        containers = _records(root / f"{driver}-containers/containers.json")
        containers |= _records(root / f"{driver}-containers/volatile-containers.json")
        return cls(root, driver, layers, images, containers)

    @classmethod
    def all(cls, root: Path) -> list[Content]:
        """One `Content` for each driver the directory was used with.

        Raises:
            DataError: One of the files is torn.
        """
        return [cls.read(root, d) for d in DRIVERS if (root / f"{d}-layers").is_dir()]

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
        try:
            return {e.name for e in os.scandir(self.layer_home)}
        except FileNotFoundError:
            return set()

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
            manifest = read_json(self.kind("images") / image["id"] / "manifest")
        except DataError:
            return "its manifest is torn"
        config = manifest.get("config", {}).get("digest") if isinstance(manifest, dict) else None
        # A manifest without configuration is of the old schema 1 and complete as it is.
        return "" if config is None or config in names else "no configuration"

    def stored(self, image: str) -> float:
        """When an image came into this store (Unix seconds)."""
        try:
            return (self.kind("images") / image).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def save_images(self) -> None:
        """Write the images back."""
        write_json(self.kind("images") / "images.json", list(self.images.values()))

    def save_layers(self) -> None:
        """Write the layers back, each parent before its children."""
        ordered = sorted(self.layers.values(), key=lambda r: len(self.chain(r["id"])))
        write_json(self.kind("layers") / "layers.json", ordered)
        write_json(self.kind("layers") / "volatile-layers.json", [])

    def save_containers(self) -> None:
        """Write the containers back."""
        write_json(self.kind("containers") / "containers.json", list(self.containers.values()))
        write_json(self.kind("containers") / "volatile-containers.json", [])


def image_names(root: Path) -> set[str]:
    """All names of all images of a store; empty when it cannot be read."""
    try:
        found = Content.all(root)
    except DataError:
        return set()
    return {n for c in found for i in c.images.values() for n in i.get("names") or []}


def label(image: Record) -> str:
    """How to call an image to a person: its first name, else its short id."""
    names = image.get("names") or []
    return str(names[0]) if names else str(image["id"])[:12]


def stamp(record: dict[str, str]) -> float:
    """Unix time of a record's ``created``; 0 when it has none."""
    try:
        return datetime.fromisoformat(record["created"][:19] + "+00:00").timestamp()
    except (KeyError, ValueError):
        return 0.0
