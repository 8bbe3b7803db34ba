"""Garbage collection of a cache volume: by age and size, only in stores that nobody holds.

It needs no engine and no privilege: a store under its lock has no user, so its records can be
edited and its directories moved to the trash, which takes milliseconds; bytes are freed after the
lock is given back, so that a starting pod is not turned away from a warm store for long.
"""

from __future__ import annotations

import contextlib
import stat
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from podman_agent.errors import DataError
from podman_agent.pod import sizes, variables
from podman_agent.store import clock, durable, layout, locks, record, removal, sealed
from podman_agent.store.beneath import Root
from podman_agent.store.content import Content, Record, label
from podman_agent.store.removal import set_aside
from podman_agent.store.sweep import sweep
from podman_agent.store.usage import freed_by, usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from podman_agent.store.layout import Store

DEFAULT_AGE = 14 * 86400.0
BLOB_INFO_KEPT = 1 << 20  # bytes
_LEFT_OVER = 3600.0  # seconds: no trial of a lock and no adoption takes that long


@dataclass(frozen=True)
class Policy:
    """What may stay; sizes in bytes, times in seconds.

    Attributes:
        budget: Bytes each key may use; None for no limit.
        age: Unclaimed stores, and unnamed images, older than this go.
        limit: Stores of one kind of pods beyond this many were made for a rush and go; what its pods say counts first.
    """

    budget: int | None = None
    age: float = DEFAULT_AGE
    limit: int = variables.CACHE_STORES.default


@dataclass
class Outcome:
    """What was done to one store; `freed` in bytes; `error` is why the rest could not be."""

    store: str
    done: list[str] = field(default_factory=list)
    freed: int = 0
    skipped: str = ""
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """The outcome for machines."""
        return asdict(self)


def collect(volume: Path, policy: Policy, key: str | None = None) -> list[Outcome]:
    """Collect the garbage of one key or of all.

    Returns:
        One outcome per store, in the order of `layout.all_stores`.

    Raises:
        OSError: The volume cannot be written.
    """
    outcomes = []
    foreign = layout.foreign_keys(volume)
    for name in [layout.check_key(key)] if key else layout.keys(volume):
        if name in foreign:
            outcomes.append(Outcome(name, skipped="belongs to another user"))
        elif (directory := volume / layout.HOME / name).is_dir():
            outcomes += _collect_key(directory, policy)
    return [*outcomes, *_blob_info(volume)]


def _blob_info(volume: Path) -> list[Outcome]:
    """Take away podman's memory of the digests it has moved, once it is large and no pod is there that uses it.

    Podman makes it anew and ignores its errors; without it a push may send a layer that another repository of the
    same registry has (https://github.com/containers/image/blob/v5.34.3/pkg/blobinfocache/default.go).
    """
    root, home = Root(volume), volume / "cache"
    try:
        caches = [home / name for name, _ in root.entries(home) if name.startswith("blob-info-cache-v1.")]
    except PermissionError:  # another user's pods share the volume
        return []
    size = sum(found.st_blocks * 512 for path in caches if stat.S_ISREG((found := root.lstat(path)).st_mode))
    if size < BLOB_INFO_KEPT:
        return []
    outcome = Outcome("blob-info cache")
    with contextlib.ExitStack() as held:
        stores = list(layout.all_stores(volume))
        if any(not s.provable for s in stores) or not all(held.enter_context(locks.locked(store)) for store in stores):
            outcome.skipped = "in use by a pod"
            return [outcome]
        for path in caches:
            root.remove(path)
    outcome.done.append("removed")
    outcome.freed = size
    return [outcome]


@contextlib.contextmanager
def reported(store: Store, outcome: Outcome) -> Iterator[None]:
    """Keep one store's trouble from the others: pods and other collectors work beside, and a volume may be full."""
    try:
        yield
    except OSError as error:
        if store.root.is_dir(store.path):
            outcome.error = f"{error.strerror}: {error.filename or store.path}"
        else:
            outcome.skipped = "removed meanwhile"
    except Exception as error:  # noqa: BLE001 - whoever wrote this store may have meant to stop the work on all others
        outcome.error = f"{type(error).__name__}: {error}"


def _collect_key(directory: Path, policy: Policy) -> list[Outcome]:
    outcomes: dict[Path, Outcome] = {}
    root = Root(directory.parents[1])
    for leftover in removal.leftovers(directory, clock.now() - _LEFT_OVER, root):
        root.remove(leftover)
    alike: Counter[str] = Counter()
    stores = layout.stores(directory, root)
    # what the last pod of a kind was told counts, which whoever collects (a CronJob) may not know
    states = sorted((store.state for store in stores), key=lambda state: state.claimed)
    limits = {state.flavour: state.limit or policy.limit for state in states}
    for store in stores:
        outcomes[store.path] = outcome = Outcome(store.name)
        flavour = store.state.flavour
        with reported(store, outcome):
            _collect_store(store, policy, outcome, surplus=store.provable and alike[flavour] >= limits[flavour])
        alike[flavour] += root.is_dir(store.path)
    sealed.collect(directory)
    if policy.budget is not None:
        _shrink(directory, policy.budget, outcomes)
    return list(outcomes.values())


def leads_elsewhere(store: Store) -> str:
    """Why no collector touches a store: what is no directory, or no plain file, where there are such."""
    if found := store.planted:
        return f"{found[0]} is a symbolic link"
    lock = store.root.mode(store.lock)
    if lock and not stat.S_ISREG(lock):
        return f"{store.lock} is {'a symbolic link' if stat.S_ISLNK(lock) else 'no plain file'}"
    return ""


def busy(store: Store) -> str:
    """Who keeps a store whose lock could not be taken."""
    if not store.root.is_dir(store.path):
        return "removed meanwhile"
    state = store.state
    return "belongs to another user" if state.flavour == record.FOREIGN else f"in use by {state.owner or 'another pod'}"


def _collect_store(store: Store, policy: Policy, outcome: Outcome, *, surplus: bool) -> None:
    now = clock.now()
    state = store.state
    if state.flavour == record.FOREIGN:
        outcome.skipped = "belongs to another user"
        return
    outcome.skipped = leads_elsewhere(store)
    if outcome.skipped:
        return
    unused = now - max(state.claimed, state.adopted, store.root.lstat(store.path).st_mtime)
    # Nothing tells whether the pod of a store named by it lives, whatever state.json says: only long silence does.
    if not store.provable and now - _last_write(store) < max(policy.age, 2 * 86400):
        outcome.skipped = "its lock proves nothing on this volume, and it is not old enough"
        return
    aside = None
    with locks.locked(store) as free:
        if not free:
            outcome.skipped = busy(store)
            return
        if surplus or not store.provable or unused > policy.age:
            why = "made for a rush" if surplus else f"unused for {sizes.age_text(unused)}"
            aside = set_aside(store)
            outcome.done.append(f"store removed, {why}")
        else:
            try:
                _tidy(store, now - policy.age, outcome)
            except OSError:
                _free_trash(store, outcome)
                raise
    if aside:
        _free(store, aside, outcome)
    else:
        _free_trash(store, outcome)


def _tidy(store: Store, unnamed_before: float, outcome: Outcome) -> None:
    """Sweep and take away old unnamed images; the caller holds the lock."""
    swept = sweep(store, now=clock.now(), unreferenced_age=0)
    if swept:
        outcome.done.append(swept.text)
    if swept.unflushed:
        with contextlib.suppress(DataError):
            durable.mark(store)
    with contextlib.suppress(DataError):
        for content in Content.of(store):
            old = [
                i
                for i, image in content.images.items()
                if not image.get("names") and content.stored(i) < unnamed_before
            ]
            if old:
                drop_images(store, content, old)
                outcome.done.append(f"removed {len(old)} unnamed image{'s' if len(old) > 1 else ''}")


def drop_images(store: Store, content: Content, images: Sequence[str]) -> None:
    """Take images, and the layers only they used, out of a store whose lock the caller holds."""
    dropped = [content.images.pop(i) for i in images]
    gone = {
        layer for image in dropped for top in content.top_layers(image) for layer in content.chain(top)
    } - content.used_layers()
    for layer in gone:
        del content.layers[layer]
    content.save_images()
    content.save_layers()
    removal.discard(store, *(content.kind("images") / i for i in images))
    removal.discard(store, *(content.layer_home / layer for layer in gone))
    # What else belongs to a layer (short link, tar-split) is found by its missing record.
    sweep(store, now=clock.now())


def remove_store(store: Store) -> Outcome:
    """Remove an unclaimed store whole; the outcome says why not when it is claimed or nothing can tell."""
    outcome = Outcome(store.name, skipped=leads_elsewhere(store))
    if not store.provable:
        outcome.skipped = "its lock proves nothing on this volume: gc removes it after long silence"
    if outcome.skipped:
        return outcome
    with locks.locked(store) as free:
        if not free:
            outcome.skipped = busy(store)
            return outcome
        aside = set_aside(store)
    _free(store, aside, outcome)
    outcome.done.append("store removed")
    return outcome


def remove_sealed(name: str, generation: Path) -> Outcome:
    """Remove a sealed store; stores that were given its images have them by links of their own."""
    outcome = Outcome(name, done=["sealed store removed"])
    root = Root(generation.parents[3])  # VOLUME/podman-agent/KEY/sealed/N
    _delete(generation, root, outcome)
    return outcome


def _delete(tree: Path, root: Root, outcome: Outcome) -> None:
    freed = freed_by([tree], root)
    if why := root.remove(tree):
        outcome.error = f"not all of it could be deleted: {why}"
        freed -= freed_by([tree], root)
    outcome.freed += max(freed, 0)


def _free(store: Store, aside: Path, outcome: Outcome) -> None:
    _delete(aside, store.root, outcome)


def _free_trash(store: Store, outcome: Outcome) -> None:
    _delete(store.trash, store.root, outcome)


def _last_write(store: Store) -> float:
    """The newest sign of life of a store: its record, or the lock files podman touches."""
    root, graphroot = store.root, store.graphroot
    paths = [store.path, store.path / "state.json", store.lock, graphroot, store.tmp]
    for kind, _ in root.entries(graphroot):
        if "-" in kind:
            paths += [graphroot / kind / name for name, _ in root.entries(graphroot / kind) if name.endswith(".lock")]
    return max((root.lstat(p).st_mtime for p in paths if root.mode(p)), default=0.0)


def _shrink(directory: Path, budget: int, outcomes: dict[Path, Outcome]) -> None:
    """Bring a key under its budget: whole stores first, least recently used first, then images."""
    root = Root(directory.parents[1])
    by_use = sorted(layout.stores(directory, root), key=lambda s: s.state.claimed)
    numbered = [s for s in by_use if s.provable]
    used = usage([directory], root)  # a walk: with thousands of stores not one for each
    for store in numbered[:-1]:
        if used <= budget:
            return
        mine = outcomes.setdefault(store.path, Outcome(store.name))
        with reported(store, mine):
            outcome = remove_store(store)
            mine.freed += outcome.freed
            mine.done += [f"{d}, over budget" for d in outcome.done]
            mine.skipped, mine.error = outcome.skipped, outcome.error
            used -= outcome.freed
    base = usage([directory / "sealed"], root)
    if base and base >= budget:  # nothing back from the last store: its base images are links to these
        skipped = f"{sizes.size_text(base)} of base images alone are over the budget: podman-agent cache rm "
        skipped += " ".join(sealed.names(directory))
        outcomes[directory / "sealed"] = Outcome(f"{directory.name}/sealed", skipped=skipped)
        return
    for store in numbered[-1:]:
        mine = outcomes.setdefault(store.path, Outcome(store.name))
        mine.skipped = leads_elsewhere(store)
        if not mine.skipped:
            with reported(store, mine):
                _shrink_store(store, directory, budget, mine)


def _shrink_store(store: Store, directory: Path, budget: int, outcome: Outcome) -> None:
    """Drop images, unnamed ones first and oldest first, until the budget holds."""
    over = usage([directory], store.root) - budget
    while over > 0:
        with locks.locked(store) as free:
            if not free:
                outcome.skipped = busy(store)
                return
            victims = oldest_images(store, over)
            for content, images in victims:
                drop_images(store, content, [i["id"] for i in images])
                outcome.done.append("over budget: " + ", ".join(label(i) for i in images))
        _free_trash(store, outcome)
        over = usage([directory], store.root) - budget if victims else 0


def oldest_images(store: Store, size: int, shared: frozenset[str] = frozenset()) -> list[tuple[Content, list[Record]]]:
    """Images on which no other stands and that are not all `shared`, until their layers add up to about `size`."""
    for content in Content.of(store):
        below = {
            layer
            for image in content.images.values()
            for top in content.top_layers(image)
            for layer in content.chain(top)[1:]
        }
        images = sorted(
            (i for i in content.images.values() if not below.intersection(content.top_layers(i))),
            key=lambda i: (bool(i.get("names")), content.stored(i["id"])),
        )
        chosen, found = [], 0
        for image in images:
            own = {layer for t in content.top_layers(image) for layer in content.chain(t)} - below - shared
            if shared and not own:
                continue
            chosen.append(image)
            found += sum(content.layers[layer].get("diff-size", 0) for layer in own)
            if found >= size:
                break
        if chosen:
            return [(content, chosen)]
    return []
