"""Bring images from one store into another by hard links: a warm start that costs no bytes.

Layers of finished images are never written again: overlay copies a file up before it changes it,
and containers-storage replaces its records instead of editing them. So both stores can hold the
same files, and either can be removed whole at any time, unlike with ``additionalimagestores``,
where every layer built on a shared image dies with the store it came from. No lock of the source
is needed: its records are read again afterwards, and what was removed meanwhile is not taken.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from podman_agent.errors import DataError
from podman_agent.pod import ids
from podman_agent.store.content import Content, Record

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

BUDGET = 10.0


def merge(
    source: Path,
    target: Path,
    aside: Path,
    *,
    names: Collection[str] | None = None,
    budget: float = BUDGET,
) -> int:
    """Link images of `source` into `target`, a store nobody works on.

    Args:
        source: A graphroot; others may work on it meanwhile.
        target: A graphroot whose store the caller holds.
        aside: A directory on the target's file system where trees are built.
        names: Only the images with these names; all when None.
        budget: Seconds after which no further image is begun; newest images come first.

    Returns:
        How many images were brought; 0 where the file system or the pod allows no hard links.
    """
    return ids.inside(lambda: _merge(source, target, aside, names, time.monotonic() + budget), giving=True)


def _merge(source: Path, target: Path, aside: Path, names: Collection[str] | None, deadline: float) -> int:
    brought = 0
    with contextlib.suppress(DataError):
        for content in Content.all(source):
            brought += _Merger(content, target, aside).run(names, deadline)
    return brought


class _Merger:
    """Merges one driver's content."""

    def __init__(self, source: Content, target: Path, aside: Path) -> None:
        self.source = source
        self.aside = aside
        for name in (f"{source.driver}-layers", f"{source.driver}-images"):
            (target / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.target = Content.read(target, source.driver)
        self.target.layer_home.mkdir(parents=True, exist_ok=True)
        if source.driver == "overlay":
            (self.target.layer_home / "l").mkdir(exist_ok=True)
        self.new_layers: dict[str, Record] = {}
        self.new_images: list[Record] = []
        self.inodes: dict[str, int] = {}

    def run(self, names: Collection[str] | None, deadline: float) -> int:
        wanted = [
            image
            for image in self.source.images.values()
            if image["id"] not in self.target.images
            and (names is None or set(image.get("names") or []).intersection(names))
            and not self.source.image_fault(image)
        ]
        wanted.sort(key=lambda image: self.source.stored(image["id"]), reverse=True)
        self.aside.mkdir(parents=True, exist_ok=True)
        for image in wanted:
            if time.monotonic() > deadline:
                break
            try:
                self._bring(image)
            except OSError:
                # Removed under our hands, or the file system has no hard links: the rest may do.
                continue
        return self._commit()

    def _bring(self, image: Record) -> None:
        for top in self.source.top_layers(image):
            for layer in reversed(self.source.chain(top)):
                if layer not in self.target.layers and layer not in self.new_layers:
                    self._link_layer(layer)
                    self.new_layers[layer] = self.source.layers[layer]
        home = self.target.kind("images") / image["id"]
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(
            self.source.kind("images") / image["id"],
            home,
            ignore=shutil.ignore_patterns(".tmp-*"),
            copy_function=_link,
        )
        self.new_images.append(image)

    def _link_layer(self, layer: str) -> None:
        aside = self.aside / f"layer-{layer}"
        shutil.rmtree(aside, ignore_errors=True)
        home = self.target.layer_home / layer
        self.inodes[layer] = self.source.diff(layer).stat().st_ino
        try:
            if self.source.driver == "overlay":
                self._link_overlay(layer, aside)
            else:
                link_tree(self.source.diff(layer), aside)
            shutil.rmtree(home, ignore_errors=True)
            aside.rename(home)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        split = self.target.tar_split(layer)
        split.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(self.source.tar_split(layer), split)
        extra = self.source.kind("layers") / layer
        if extra.is_dir():
            shutil.copytree(extra, self.target.kind("layers") / layer, dirs_exist_ok=True)

    def _link_overlay(self, layer: str, aside: Path) -> None:
        aside.mkdir(mode=0o700)
        for entry in os.scandir(self.source.layer_home / layer):
            if entry.name in ("work", "merged", "empty"):
                (aside / entry.name).mkdir(mode=0o700)
            elif entry.is_dir(follow_symlinks=False):
                link_tree(entry.path, aside / entry.name)
            elif entry.name == "link":
                # podman may write it anew in place, for one store alone
                shutil.copy2(entry.path, aside / entry.name, follow_symlinks=False)
            else:
                _link(entry.path, aside / entry.name)
        short = (aside / "link").read_text(encoding="ascii").strip()
        with contextlib.suppress(FileExistsError):
            (self.target.layer_home / "l" / short).symlink_to(f"../{layer}/diff")

    def _commit(self) -> int:
        """Write down what is whole and what the source still has, layers before images."""
        try:
            after = Content.read(self.source.root, self.source.driver)
        except DataError:
            return 0
        old = self.target
        merged = Content(old.root, old.driver, dict(old.layers), dict(old.images), within=old.within)
        merged.layers |= {i: r for i, r in self.new_layers.items() if self._same(after, i, r)}
        taken = {name for image in old.images.values() for name in image.get("names") or []}
        for image in self.new_images:
            if image["id"] in after.images and not merged.image_fault(image):
                names = [n for n in image.get("names") or [] if n not in taken]
                merged.images[image["id"]] = {**image, "names": names}
        brought = len(merged.images) - len(old.images)
        if brought:
            merged.save_layers()
            merged.save_images()
        return brought

    def _same(self, after: Content, layer: str, record: Record) -> bool:
        """Whether the source still has the very layer that was linked: a new pull gives it the same id."""
        try:
            return (
                after.layers[layer].get("created") == record.get("created")
                and after.sound(layer)
                and self.source.diff(layer).stat().st_ino == self.inodes[layer]
            )
        except (KeyError, FileNotFoundError):
            return False


def _link(source: str | Path, target: str | Path) -> None:
    """Link a file that is only ever replaced whole: its bytes are as safe from a crash of the node as before."""
    os.link(source, target, follow_symlinks=False)


def link_tree(source: str | Path, target: str | Path) -> None:
    """Make `target` a copy of a directory whose files are hard links.

    Directories cannot be linked: they are made anew with owner, mode, times and all extended
    attributes, for overlay keeps its opaque marks there.
    """
    source, target = os.fspath(source), os.fspath(target)
    os.mkdir(target, 0o700)  # noqa: PTH102 - a hundred thousand Path objects cost seconds
    with os.scandir(source) as entries:
        for entry in entries:
            below = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                link_tree(entry.path, below)
            else:
                os.link(entry.path, below, follow_symlinks=False)
    status = os.stat(source)  # noqa: PTH116
    os.chown(target, status.st_uid, status.st_gid)
    for name in os.listxattr(source):
        os.setxattr(target, name, os.getxattr(source, name))
    os.chmod(target, status.st_mode & 0o7777)  # noqa: PTH101
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
