"""Make a store whole again after its last owner died: at a claim, and in garbage collection.

Every agent pod ends by SIGKILL, so whether a store needs repair is read from the store itself and
not from a mark. A store has one live pod, so at a claim every container in it is dead. What is
wrong is taken out of the records first (each file replaced in one step), then moved to the trash:
a kill in between leaves only things that the next sweep finds. Named volumes stay, anonymous ones
go with their containers, as with ``podman rm --volumes``.

podman's own ``system check --repair --force`` does the same for images and layers, but leaves
sound containers of dead pods and takes a second and more, for it mounts every layer; it needs the
engine, the pod's rights and the plan. This needs none of them.
"""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from podman_agent import files
from podman_agent.errors import DataError
from podman_agent.pod.trials import TRIAL
from podman_agent.store import clock, database, durable, modes, removal
from podman_agent.store.content import Content, is_id, label, stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from podman_agent.store.layout import Store

UNREFERENCED_AGE = 24 * 3600
ADOPTION_GRACE = 24 * 3600
FSGROUP = (
    "which this pod's fsGroup had changed, with the data of named volumes:"
    " set fsGroupChangePolicy: OnRootMismatch beside fsGroup"
)


@dataclass
class Swept:
    """What one sweep took out of a store.

    Attributes:
        modes: Layers whose files were given their groups and modes back, see `podman_agent.store.modes`.
        unflushed: Some of the layers that stay are not known to be on disk, see `podman_agent.store.durable`.
    """

    containers: int = 0
    layers: int = 0
    orphans: int = 0
    temporary: int = 0
    images: dict[str, str] = field(default_factory=dict)
    modes: int = 0
    reset: str = ""
    unflushed: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.containers or self.layers or self.orphans or self.temporary or self.images or self.reset or self.modes
        )

    @property
    def text(self) -> str:
        """One clause for a person."""
        if self.reset:
            return f"started anew ({self.reset})"
        counts = (
            (len(self.images), "damaged image"),
            (self.containers, "dead container"),
            (self.layers, "unfinished layer"),
            (self.orphans, "orphan directory"),
            (self.temporary, "torn temporary file"),
        )
        parts = [f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n]
        removed = ["removed " + ", ".join(parts).replace("directorys", "directories")] if parts else []
        put_back = [f"put back the modes of {self.modes} layers, {FSGROUP}"] if self.modes else []
        return "; ".join(removed + put_back)


def sweep(
    store: Store,
    *,
    now: float,
    unreferenced_age: float = UNREFERENCED_AGE,
    moved_in: bool = False,
    suspects: Callable[[Content], set[str]] | None = None,
) -> Swept:
    """Bring a store nobody uses into a state podman can work on.

    Args:
        store: A store whose lock the caller holds.
        now: Unix time.
        unreferenced_age: Seconds after which a complete layer without image is garbage. Younger
            ones stay: they are what a killed pull had finished, and the next pull uses them.
        moved_in: Whether podman will use the store at this very path: a database that records another
            one is taken away then. Garbage collection may see the volume anywhere and leaves it.
        suspects: Finds layers that must be dropped although they look sound; those a crash of the node tore are
            looked for anyway where the store's last owner lived before it, since writing the records here would
            hide from the next sweep when that owner wrote them.

    Raises:
        OSError: The volume cannot be written, or it is full and nothing here could be freed.
    """
    links, first = removal.unlink_planted(store), Swept()
    state = store.state
    # An adopted store may have a user that knows nothing of claims: for a day, young containers
    # are let be.
    keep_after = now - ADOPTION_GRACE if now < state.adopted + ADOPTION_GRACE else None
    finders = [suspects] if suspects else []
    flushed = durable.known(store)
    if modes.changed(store):
        finders.append(functools.partial(_put_back, first))
    if state.boot != clock.boot_id():
        finders.append(functools.partial(_torn_by_crash, flushed))

    def once(done: Swept) -> Swept:
        before = now - unreferenced_age
        return _sweep(store, done, before, keep_after, moved_in=moved_in, finders=finders, flushed=flushed)

    try:
        done = once(first)
    except OSError as error:
        if error.errno not in files.FULL:
            raise
        _free_in_place(store, keep_after)
        done = once(Swept(images=first.images, modes=first.modes))
    modes.place(store)
    done.temporary += len(links)
    return done


def _sweep(
    store: Store,
    done: Swept,
    unreferenced_before: float,
    keep_after: float | None,
    *,
    moved_in: bool,
    finders: list[Callable[[Content], set[str]]],
    flushed: durable.Known,
) -> Swept:
    try:
        contents = Content.of(store)
    except DataError as error:
        done.reset = error.what
        removal.discard_storage(store)
        return done
    for content in contents:
        if finders:
            content.condemn({layer for find in finders for layer in find(content)})
        _sweep_records(store, content, done, unreferenced_before, keep_after)
        _sweep_directories(store, content, done)
    if keep_after is None:
        database.forget_containers(store, moved_in=moved_in)
    _sweep_tmp(store)
    done.unflushed = durable.lacks(contents, flushed)
    return done


def _torn_by_crash(flushed: durable.Known, content: Content) -> set[str]:
    """What a crash of the node tore: layers not flushed that are not what their digest says, and short files lost.

    overlay takes a layer with an empty ``lower`` for a base, so that an image of it lacks all below. What `merge`
    links is older than it looks here, hence all layers are asked for theirs.
    """
    from podman_agent.store import verify  # noqa: PLC0415 - rarely needed

    torn = verify.torn(content, durable.doubtful(content, flushed) - content.working_layers())
    if content.driver == "overlay":
        for layer, record in content.layers.items():
            names = ("link", "lower") if record.get("parent") else ("link",)
            if not all(_has_bytes(content, f"{content.layer_home}/{layer}/{name}") for name in names):
                torn.add(layer)
    return torn


def _put_back(done: Swept, content: Content) -> set[str]:
    """What a kubelet has changed is put right; the layers of which it cannot be are to go."""
    working = content.working_layers()
    layers = [layer for layer in content.layers if layer not in working and content.sound(layer)]
    lost = modes.repair(content, sorted(layers, key=lambda layer: len(content.chain(layer))))
    done.modes += len(layers) - len(lost)
    return lost


def _has_bytes(content: Content, path: str) -> bool:
    try:
        return content.within.lstat(path).st_size > 0
    except FileNotFoundError:
        return False


def _free_in_place(store: Store, keep_after: float | None) -> None:
    """Make room on a full volume: what goes anyway is deleted before the records that forget it are written.

    A container whose files are gone is still one that the next sweep takes for dead, whatever ends this one.
    """
    removal.empty_trash(store)
    for path in _passing(store):
        store.root.remove(path)
    with contextlib.suppress(DataError):
        for content in Content.of(store):
            home = content.layer_home
            images = {layer for image in content.images.values() for layer in content.top_layers(image)}
            dead = {
                record.get("layer")
                for record in content.containers.values()
                if keep_after is None or stamp(record) < keep_after
            } - images
            for name, is_dir in store.root.entries(home):
                if not is_dir or not is_id(name.removesuffix("-init")):
                    continue
                if name.removesuffix("-init") not in content.layers:
                    store.root.remove(home / name)
                elif name in dead:
                    _empty(store, content.diff(name))
            for name in ("staging", "tempdirs"):
                _empty(store, home / name)


def _empty(store: Store, directory: Path) -> None:
    for name, _ in store.root.entries(directory):
        store.root.remove(directory / name)


def _sweep_records(
    store: Store,
    content: Content,
    done: Swept,
    unreferenced_before: float,
    keep_after: float | None,
) -> None:
    faults = {i: f for i, r in content.images.items() if (f := content.image_fault(r))}
    for image, fault in faults.items():
        done.images[label(content.images.pop(image))] = fault
    dead = {c for c, record in content.containers.items() if keep_after is None or stamp(record) < keep_after}
    dead_layers = {content.containers.pop(c).get("layer") for c in dead}
    used = content.used_layers()
    gone = {
        layer
        for layer, record in content.layers.items()
        if layer not in used
        and (layer in dead_layers or not content.sound(layer) or stamp(record) < unreferenced_before)
    }
    done.containers += len(dead)
    done.layers += len(gone - dead_layers)
    for layer in gone:
        del content.layers[layer]
    if faults:
        content.save_images()
        removal.discard(store, *(content.kind("images") / i for i in faults))
    if dead:
        content.save_containers()
        removal.discard(store, *(content.kind("containers") / c for c in dead))
    if gone:
        content.save_layers()
    # Their directories are orphans now and leave with the others, but are not counted twice.
    done.orphans -= sum(store.root.is_dir(content.layer_home / layer) for layer in gone)


def _sweep_directories(store: Store, content: Content, done: Swept) -> None:
    known = {"layers": content.layers, "images": content.images, "containers": content.containers}
    entries = store.root.entries
    names = {name.removesuffix("-init") for name, _ in entries(content.layer_home)}
    rubbish = [content.layer_home / n for n in names if is_id(n) and n not in content.layers]
    torn: list[Path] = []
    for kind, records in known.items():
        home = content.kind(kind)
        for name, _ in entries(home):
            if kind != "layers" and is_id(name) and name not in records:
                rubbish.append(home / name)
            elif name.startswith(".tmp-") or (kind == "layers" and is_id(name[:64]) and name[:64] not in records):
                torn.append(home / name)
    done.orphans += len(rubbish)
    if content.driver == "overlay":
        torn += _torn_overlay(store, content)
    done.temporary += sum(path.name.startswith(".tmp-") for path in torn)
    removal.discard(store, *rubbish, *torn)


def _torn_overlay(store: Store, content: Content) -> list[Path]:
    """Staged files of cut-off pulls and deletions, and short links to layers that are gone."""
    home, root = content.layer_home, store.root
    found = [home / name / entry for name in ("staging", "tempdirs") for entry, _ in root.entries(home / name)]
    try:
        short = root.open(home / "l", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return found
    try:
        for name in os.listdir(short):  # noqa: PTH208 - a descriptor
            try:
                target = os.readlink(name, dir_fd=short).split("/")
            except OSError:
                continue  # no link: nothing of podman's
            if len(target) > 1 and is_id(target[1]) and target[1] not in content.layers:
                found.append(home / "l" / name)
    finally:
        os.close(short)
    return found


def _sweep_tmp(store: Store) -> None:
    """Free cut-off image copies and trials; buildah's ``RUN --mount=type=cache`` directories stay."""
    graphroot = store.graphroot
    removal.discard(store, *(graphroot / n for n, _ in store.root.entries(graphroot) if n.startswith(TRIAL)))
    if passing := _passing(store):
        try:
            removal.discard(store, *passing)
        except OSError:
            for path in passing:
                store.root.remove(path)


def _passing(store: Store) -> list[Path]:
    return [store.tmp / name for name, _ in store.root.entries(store.tmp) if not name.startswith("buildah-cache")]
