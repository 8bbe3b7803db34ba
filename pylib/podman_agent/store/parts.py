"""A volume divided by who may write it: a directory for each trust level and team, which a pod mounts by ``subPath``.

To the pod its part is the whole volume: what another team, or the same team's pods of another trust level, can write
is not there at all. Only garbage collection mounts the volume whole, and sees

    VOLUME/LEVEL/TEAM/                  what pods of the templates mount
    VOLUME/podman-agent/, storage/      what pods that mount it whole have there, see `divide`
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.store import gc, layout, locks
from podman_agent.store.beneath import STRANGE, Root
from podman_agent.store.border import LEVELS, level_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podman_agent.store.layout import Store


@dataclass(frozen=True)
class Part:
    """A part of a volume that is mounted whole.

    Attributes:
        name: ``LEVEL/TEAM``, the ``subPath``.
        path: A way to it that nobody can lead elsewhere; valid until the next one is asked for.
    """

    name: str
    path: Path


def parts(volume: Path) -> Iterator[Part]:
    """The parts of a volume, each opened below it: a link in the place of one is passed over."""
    root = Root(volume)
    for level in LEVELS:
        try:
            teams = sorted(entry.name for entry in root.entries(volume / level) if entry.directory)
        except OSError as error:
            if isinstance(error, PermissionError) or error.errno in STRANGE:
                continue
            raise
        for team in teams:
            try:
                fd = root.open(volume / level / team, os.O_PATH | os.O_DIRECTORY)
            except OSError:
                continue
            try:
                yield Part(f"{level}/{team}", Path(f"/proc/self/fd/{fd}"))
            finally:
                os.close(fd)


def divide(volume: Path) -> list[gc.Outcome]:
    """Move free stores of a volume that pods mounted whole into the parts in which the templates' pods look for them.

    Within its part a store has the path it had, so podman's database of it stays true. A store that a pod holds, or
    that was named by a pod, stays until the next time.

    Returns:
        One outcome for each store of such pods.

    Raises:
        OSError: The volume cannot be written.
    """
    outcomes = []
    root = Root(volume)
    for key in layout.keys(volume):
        directory = volume / layout.HOME / key
        for store in layout.stores(directory, root):
            outcomes.append(outcome := gc.Outcome(store.name))
            with gc.reported(store, outcome):
                _move(store, outcome)
        for number, graphroot in layout.sealed_generations(directory):
            outcomes.append(outcome := gc.Outcome(f"{key}/sealed/{number}"))
            _move_sealed(root, volume, graphroot.parent, outcome)
    return outcomes


def _move(store: Store, outcome: gc.Outcome) -> None:
    outcome.skipped = gc.leads_elsewhere(store)
    if not store.provable:
        outcome.skipped = "its lock proves nothing on this volume"
    flavour = store.state.flavour
    if not flavour:
        outcome.skipped = outcome.skipped or "nothing tells which pods it is for"
    if outcome.skipped:
        return
    with locks.locked(store) as free:
        if not free:
            outcome.skipped = gc.busy(store)
            return
        root, volume = store.root, store.volume
        part = volume / level_of(flavour) / store.path.parent.name
        home = _home(root, part, store.path.parent)
        if store.adopted:
            for name in ("storage", "storage.tmp"):
                with contextlib.suppress(FileNotFoundError):
                    root.rename(volume / name, part / name)
        number = store.number or 0
        while root.mode(home / str(number)):
            number += 1
        root.rename(store.path, home / str(number))
    outcome.done.append(f"moved to {part.relative_to(volume)}")


def _move_sealed(root: Root, volume: Path, generation: Path, outcome: gc.Outcome) -> None:
    """A generation keeps its number, by which stores remember what they were given, or stays."""
    directory = generation.parents[1]
    part = volume / level_of(layout.sealed_flavour(generation, root)) / directory.name
    try:
        home = _home(root, part, directory)
        with contextlib.suppress(FileExistsError):
            root.mkdir(home / "sealed")
            root.give(home / "sealed", root.lstat(directory))
        if root.mode(home / "sealed" / generation.name):
            outcome.skipped = f"{part.relative_to(volume)} has one of this number"
            return
        root.rename(generation, home / "sealed" / generation.name)
    except OSError as error:
        outcome.error = f"{error.strerror}: {error.filename}"
        return
    outcome.done.append(f"moved to {part.relative_to(volume)}")


def _home(root: Root, part: Path, like: Path) -> Path:
    """The directory of a key in its part, made with the owner and mode of the key it comes from."""
    found = root.lstat(like)
    home = part / layout.HOME / like.name
    made = [path for path in reversed((home, *home.parents)) if path.is_relative_to(part.parent)]
    for path in made:
        with contextlib.suppress(FileExistsError):
            root.mkdir(path)
            root.chmod(path, found.st_mode & 0o7777)
            if path != part.parent:  # that of the level is nobody's
                root.give(path, found)
    return home
