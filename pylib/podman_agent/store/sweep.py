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
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import files
from podman_agent.errors import DataError
from podman_agent.pod.trials import TRIAL
from podman_agent.store import clock, removal
from podman_agent.store.content import Content, is_id, label, stamp
from podman_agent.store.removal import remove

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from podman_agent.store.layout import Store

UNREFERENCED_AGE = 24 * 3600
ADOPTION_GRACE = 24 * 3600
_KEEP_TABLES = frozenset(("DBConfig", "VolumeConfig", "VolumeState"))


@dataclass
class Swept:
    """What one sweep took out of a store."""

    containers: int = 0
    layers: int = 0
    orphans: int = 0
    temporary: int = 0
    images: dict[str, str] = field(default_factory=dict)
    reset: str = ""

    def __bool__(self) -> bool:
        return bool(self.containers or self.layers or self.orphans or self.temporary or self.images or self.reset)

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
        return "removed " + ", ".join(parts).replace("directorys", "directories") if parts else ""


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
    links = removal.unlink_planted(store)
    state = store.state
    # An adopted store may have a user that knows nothing of claims: for a day, young containers
    # are let be.
    keep_after = now - ADOPTION_GRACE if now < state.adopted + ADOPTION_GRACE else None
    finders = [suspects] if suspects else []
    if state.boot != clock.boot_id():
        finders.append(_torn_by_crash)

    def once(done: Swept) -> Swept:
        return _sweep(store, done, now - unreferenced_age, keep_after, moved_in=moved_in, finders=finders)

    first = Swept()
    try:
        done = once(first)
    except OSError as error:
        if error.errno not in files.FULL:
            raise
        _free_in_place(store, keep_after)
        done = once(Swept(images=first.images))
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
) -> Swept:
    try:
        contents = Content.all(store.graphroot)
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
        _forget_containers(store, store.graphroot, moved_in=moved_in)
    _sweep_tmp(store)
    return done


def _torn_by_crash(content: Content) -> set[str]:
    """What a crash of the node tore: young layers that are not what their digest says, and short files lost.

    overlay takes a layer with an empty ``lower`` for a base, so that an image of it lacks all below. What `merge`
    links is older than it looks here, hence all layers are asked for theirs.
    """
    from podman_agent.store.verify import torn_by_crash  # noqa: PLC0415 - rarely needed

    torn = torn_by_crash(content)
    if content.driver == "overlay":
        for layer, record in content.layers.items():
            names = ("link", "lower") if record.get("parent") else ("link",)
            if not all(_has_bytes(f"{content.layer_home}/{layer}/{name}") for name in names):
                torn.add(layer)
    return torn


def _has_bytes(path: str) -> bool:
    try:
        return os.lstat(path).st_size > 0
    except FileNotFoundError:
        return False


def _free_in_place(store: Store, keep_after: float | None) -> None:
    """Make room on a full volume: what goes anyway is deleted before the records that forget it are written.

    A container whose files are gone is still one that the next sweep takes for dead, whatever ends this one.
    """
    removal.empty_trash(store)
    if store.tmp.is_dir():
        for entry in _passing(store):
            remove(Path(entry.path))
    with contextlib.suppress(DataError):
        for content in Content.all(store.graphroot):
            home = content.layer_home
            if not home.is_dir():
                continue
            images = {layer for image in content.images.values() for layer in content.top_layers(image)}
            dead = {
                record.get("layer")
                for record in content.containers.values()
                if keep_after is None or stamp(record) < keep_after
            } - images
            for entry in os.scandir(home):
                if not entry.is_dir(follow_symlinks=False) or not is_id(entry.name.removesuffix("-init")):
                    continue
                if entry.name.removesuffix("-init") not in content.layers:
                    remove(Path(entry.path))
                elif entry.name in dead:
                    _empty(content.diff(entry.name))
            for name in ("staging", "tempdirs"):
                _empty(home / name)


def _empty(directory: Path) -> None:
    if directory.is_dir() and not directory.is_symlink():
        for path in directory.iterdir():
            remove(path)


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
    done.orphans -= sum((content.layer_home / layer).is_dir() for layer in gone)


def _sweep_directories(store: Store, content: Content, done: Swept) -> None:
    known = {"layers": content.layers, "images": content.images, "containers": content.containers}
    rubbish: list[Path] = []
    if content.layer_home.is_dir():
        names = {e.name.removesuffix("-init") for e in os.scandir(content.layer_home)}
        rubbish += [content.layer_home / n for n in names if is_id(n) and n not in content.layers]
    for kind in ("images", "containers"):
        if content.kind(kind).is_dir():
            names = {e.name for e in os.scandir(content.kind(kind))}
            rubbish += [content.kind(kind) / n for n in names if is_id(n) and n not in known[kind]]
    done.orphans += len(rubbish)
    torn = [
        entry
        for kind in known
        if content.kind(kind).is_dir()
        for entry in content.kind(kind).iterdir()
        if entry.name.startswith(".tmp-")
        or (kind == "layers" and is_id(entry.name[:64]) and entry.name[:64] not in content.layers)
    ]
    if content.driver == "overlay":
        torn += _torn_overlay(content)
    done.temporary += sum(entry.name.startswith(".tmp-") for entry in torn)
    removal.discard(store, *rubbish, *torn)


def _torn_overlay(content: Content) -> list[Path]:
    """Staged files of cut-off pulls and deletions, and short links to layers that are gone."""
    home = content.layer_home
    found = [entry for name in ("staging", "tempdirs") if (home / name).is_dir() for entry in (home / name).iterdir()]
    if (home / "l").is_dir():
        for entry in os.scandir(home / "l"):
            try:
                target = os.readlink(entry.path).split("/")  # noqa: PTH115 - one for each layer, at every claim
            except OSError:
                continue  # no link: nothing of podman's
            if len(target) > 1 and is_id(target[1]) and target[1] not in content.layers:
                found.append(Path(entry.path))
    return found


def _forget_containers(store: Store, root: Path, *, moved_in: bool) -> None:
    """Take dead containers out of libpod's database; take a database of another place away."""
    path = root / "db.sql"
    if not path.exists():
        return
    import sqlite3  # noqa: PLC0415 - milliseconds that a store without containers need not pay

    sidecars = [path.with_name(path.name + s) for s in ("-wal", "-shm", "-journal")]
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as db, db:
            recorded = db.execute("SELECT GraphRoot FROM DBConfig").fetchone()
            if moved_in and recorded and recorded[0] != str(root):
                reason = "moved"
            elif not db.execute(
                "SELECT EXISTS(SELECT 1 FROM IDNamespace) OR EXISTS(SELECT 1 FROM ContainerConfig)"
            ).fetchone()[0]:
                return
            else:
                _delete_rows(store, db, root)
                return
    except sqlite3.OperationalError:
        return  # a full volume, or tables of another podman: podman itself copes with dead containers
    except sqlite3.DatabaseError as error:
        reason = str(error)
    # Images do not depend on this database: podman makes a new one.
    if reason:
        removal.discard(store, path, *sidecars)


def _delete_rows(store: Store, db: sqlite3.Connection, root: Path) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in rows:
        if table not in _KEEP_TABLES and not table.startswith("sqlite_"):
            db.execute(f'DELETE FROM "{table}"')  # noqa: S608 - the name is the database's own
    for name, text in db.execute("SELECT Name, JSON FROM VolumeConfig").fetchall():
        if json.loads(text).get("isAnon"):
            db.execute("DELETE FROM VolumeConfig WHERE Name = ?", (name,))
            db.execute("DELETE FROM VolumeState WHERE Name = ?", (name,))
            if not (root / "volumes").is_symlink() and name.strip("."):
                removal.discard(store, root / "volumes" / os.path.basename(name))  # noqa: PTH119


def _sweep_tmp(store: Store) -> None:
    """Free cut-off image copies and trials; buildah's ``RUN --mount=type=cache`` directories stay."""
    if store.graphroot.is_dir():
        removal.discard(store, *store.graphroot.glob(f"{TRIAL}*"))
    if not store.tmp.is_dir():
        return
    if entries := _passing(store):
        try:
            removal.discard(store, *(store.tmp / e.name for e in entries))
        except OSError:
            for entry in entries:
                remove(store.tmp / entry.name)


def _passing(store: Store) -> list[os.DirEntry[str]]:
    return [e for e in os.scandir(store.tmp) if not e.name.startswith("buildah-cache")]
