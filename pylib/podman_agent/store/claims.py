"""Claim a store for this container: the warmest free one, else a new one that starts warm.

Runs once per container start, under the plan's own lock, before anything is decided; standard
library only. What a claim costs is measured by ``tests/soak/claim_cost.py``.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import VolumeError
from podman_agent.pod import sizes
from podman_agent.store import clock, durable, held, layout, locks, modes
from podman_agent.store.adopt import adopt, locked_new_store
from podman_agent.store.border import check_mounted
from podman_agent.store.content import DRIVERS, image_names
from podman_agent.store.layout import Store
from podman_agent.store.merge import merge
from podman_agent.store.record import State
from podman_agent.store.settings import Settings
from podman_agent.store.space import space
from podman_agent.store.sweep import Swept, sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = Path("/run/podman-agent")
_JOBS_KEPT = 50
_MOST_ODD = 100
_OWNER = re.compile(r"[A-Za-z0-9.-]{1,240}")


@dataclass(frozen=True)
class Claim:
    """A store that is this container's own until it dies.

    Attributes:
        graphroot: The directory to be podman's graphroot.
        additional: Read-only additional image stores; empty, for base images come by hard links.
        note: A line for the reasons of the plan.
        message: A line for stderr; empty when there is nothing to say.
        tmp: A directory for image copies (TMPDIR), on the same volume.
        store: The store as ``podman-agent cache ls`` names it.
        alive: The FIFO whose reader is the holder of the lock, see `locks.alive`.
    """

    graphroot: Path
    additional: tuple[Path, ...] = ()
    note: str = ""
    message: str = ""
    tmp: Path | None = None
    store: str = ""
    alive: str = ""


def claim(
    volume: Path,
    *,
    key: str | None,
    env: Mapping[str, str],
    legacy: Path,
    run: Path = RUN,
) -> Claim:
    """Claim a store on a cache volume until this container dies.

    Args:
        volume: The mounted cache volume.
        key: PODMAN_AGENT_CACHE_KEY; None for the default key.
        env: The environment: PODMAN_AGENT_CACHE_STORES (limit of stores per key, 8), _WAIT
            (seconds to wait when all are taken, 0), _LOCKS (auto, trust, never), _IMAGES (names
            the job builds from), JOB_NAME.
        legacy: The plain graphroot from before; adopted as first store of the default key.
        run: This container's own run directory.

    Raises:
        ConfigError: A PODMAN_AGENT_CACHE_* value makes no sense, or the volume is that of another trust level.
        VolumeError: The volume is read-only, full or not writable by this user.
    """
    key = layout.check_key(key)
    settings = Settings.read(env)
    check_mounted(volume, settings.flavour)
    run.mkdir(parents=True, exist_ok=True)
    record = run / f"claim-{key}.json"
    held.find_again(volume, key, record)
    ours = _still_ours(record, volume)
    if ours:
        return ours
    try:
        volume.mkdir(parents=True, exist_ok=True)
        directory = layout.key_directory(volume, key)
        return _Claimer(volume, directory, legacy, settings, record).claim()
    except OSError as error:
        what = f"cannot claim a store on the cache volume {volume}"
        fix = "mount it writable (fsGroup, with fsGroupChangePolicy: OnRootMismatch), or free space: podman-agent gc"
        raise VolumeError(what, f"{error.strerror}; {space(volume).text}", fix) from error


def _still_ours(record: Path, volume: Path) -> Claim | None:
    found = held.read(record)
    if not found or found.volume != str(volume):
        return None
    return Claim(
        graphroot=Path(found.graphroot),
        note=f"cache store {found.store}, held since this container's first call",
        tmp=Path(found.tmp),
        store=found.store,
        alive=found.alive,
    )


class _Claimer:
    """One claim; keeps what it has to say."""

    def __init__(self, volume: Path, directory: Path, legacy: Path, settings: Settings, record: Path) -> None:
        self.volume, self.directory, self.legacy = volume, directory, legacy
        self.settings, self.record = settings, record
        self.messages: list[str] = []
        self.notes: list[str] = []
        self.odd: set[Path] = set()
        self.unflushed = False

    def claim(self) -> Claim:
        reason = locks.distrust(self.directory, self.settings.locks)
        if not reason:
            self._adopt()
        while True:
            made = None
            found = self._pod_named(reason) if reason else self._free_store() or self._wait()
            if found is None:
                made = found = self._new_store()
            store, fd = found
            try:
                swept, rubbish = self._prepare(store, locks_work=not reason)
                return self._hold(store, fd, swept, rubbish)
            except _OddStore as error:
                if made or len(self.odd) > _MOST_ODD:
                    raise error.cause from error
                self.odd.add(store.path)
                self.messages.append(f"cache store {store.name} is passed over ({error}): podman-agent cache rm")
            finally:
                os.close(fd)

    def _pod_named(self, reason: str) -> tuple[Store, int]:
        """A store of this pod's own name, locked at least against other containers that have the same."""
        name = f"pod-{_plain(self.settings.owner)}"
        shown = not locks.trial(self.directory)
        fd, number = None, 0
        while fd is None:
            number += 1  # no pod's name has an underscore
            store = Store(self.directory / (name if number == 1 else f"{name}_{number}"))
            try:
                store.root.mkdir(store.path)
                made = True
            except FileExistsError:
                made = False
            if store.path in self.odd or not store.root.is_dir(store.path):
                continue
            if not (made or (shown and self._fits(store))):
                continue
            # where locks cannot be shown to work, nobody else can have made it
            fd = locks.try_lock(store) if shown else store.root.open(store.lock, os.O_RDWR | os.O_CREAT, 0o660)
        if made:
            store.save(self._new_state(locks=False))
        self.messages.append(
            f"the cache volume cannot be shared ({reason}): this pod uses {store.name} alone;"
            " PODMAN_AGENT_CACHE_LOCKS=trust if locks do work across nodes"
        )
        return store, fd

    def _adopt(self) -> None:
        if self.settings.flavour == "root":
            store = adopt(self.volume, self.directory, self.legacy)
            if store:
                self.messages.append(
                    f"{self.legacy} is now cache store {store.name}; a pod whose image knows nothing of"
                    " claims must not use this volume at the same time"
                )

    def _free_store(self) -> tuple[Store, int] | None:
        """The warmest store that nobody holds, locked."""
        for store in self._by_warmth():
            if store.path in self.odd:
                continue
            fd = locks.try_lock(store)
            if fd is not None:
                return store, fd
        return None

    def _warmth(self, store: Store, state: State) -> tuple[int, float, float]:
        """How likely a store has what the job needs: its images, its job, last used."""
        wanted = self.settings.images
        images = len(wanted & image_names(store.graphroot, store.root)) if wanted else 0
        return images, state.jobs.get(self.settings.job, 0.0), state.claimed

    def _by_warmth(self) -> list[Store]:
        """The numbered stores that pods like this one can use, warmest first."""
        found = []
        for store in layout.stores(self.directory):
            if store.provable and self._fits(store):
                try:
                    warmth = self._warmth(store, store.state)
                except Exception:  # noqa: BLE001 - whatever is odd about one store, the next may do
                    warmth = (-1, 0.0, 0.0)
                found.append((warmth, store))
        return [s for _, s in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def _fits(self, store: Store) -> bool:
        """Whether pods like this one can use a store; with content of an unknown kind nobody can."""
        flavour = store.state.flavour
        return flavour == self.settings.flavour or (not flavour and not store.has_content)

    def _wait(self) -> tuple[Store, int] | None:
        """Wait for a store when there are as many as there may be."""
        if len(self._by_warmth()) < self.settings.limit:
            return None
        deadline = time.monotonic() + self.settings.wait
        if self.settings.wait:
            print(
                f"podman-agent: all {self.settings.limit} cache stores of {self.directory.name} are"
                f" taken, waiting up to {self.settings.wait} s (PODMAN_AGENT_CACHE_WAIT)",
                file=sys.stderr,
            )
        while time.monotonic() < deadline:
            time.sleep(0.5)
            found = self._free_store()
            if found:
                return found
        self.messages.append(
            f"all {self.settings.limit} cache stores of {self.directory.name} are taken"
            " (PODMAN_AGENT_CACHE_STORES): using one more that the next gc removes"
        )
        return None

    def _new_store(self) -> tuple[Store, int]:
        store, fd = locked_new_store(self.directory)
        store.save(self._new_state())
        return store, fd

    def _new_state(self, *, locks: bool = True) -> State:
        kind = self.settings.flavour
        return State(flavour=kind, claimed=clock.now(), boot=clock.boot_id(), locks=locks)

    def _warm(self, store: Store) -> None:
        """Give a new store the images of the sealed store, which was flushed, and of the warmest sibling.

        Only of a sibling that was checked since this node started: `_prepare` writes the boot down when its sweep has
        ended, so a store that waits for its sweep, or is in the midst of it, gives nothing.
        """
        others = [s for s in self._by_warmth() if s.path != store.path and s.path not in self.odd]
        siblings = [s for s in others if s.state.boot == clock.boot_id() and _has_images(s)][:1]
        sources = [path for _, path in layout.sealed_generations(self.directory, self.settings.flavour)[:1]]
        started = time.monotonic()
        brought = sum(self._bring(s, store) for s in (*sources, *(sibling.graphroot for sibling in siblings)))
        took = time.monotonic() - started
        self.notes.append(f"new, {brought} images by hard links in {took:.2f} s")

    def _bring(self, source: Path, store: Store) -> int:
        """Images linked from another store: what is odd about that one leaves this one cold, not broken."""
        self.unflushed = True
        durable.forget(store)
        try:
            return merge(source, store.graphroot, store.tmp)
        except Exception:  # noqa: BLE001
            return 0

    def _prepare(self, store: Store, *, locks_work: bool) -> tuple[Swept, list[Path]]:
        """Repair what the last owner left and write down the new one.

        Raises:
            _OddStore: This store cannot be used, for whatever reason.
        """
        try:
            state, now = store.state, clock.now()
            swept = sweep(store, now=now, moved_in=True)
            if not _has_images(store):  # new, or killed before it was warm
                self._warm(store)
            rubbish = self._keep_budget(store)
            self._add_sealed(store, state)
            for directory in (store.tmp, store.graphroot):
                if not store.root.is_dir(directory):
                    store.root.mkdir(directory)
            modes.disinherit(store.root, store.tmp, store.graphroot)
            jobs = {**state.jobs, self.settings.job: now} if self.settings.job else state.jobs
            newest = sorted(jobs.items(), key=lambda item: item[1])[-_JOBS_KEPT:]
            state.jobs, state.owner, state.boot = dict(newest), self.settings.owner, clock.boot_id()
            state.claimed, state.graphroot, state.locks = now, str(store.graphroot), locks_work
            state.flavour, state.limit = self.settings.flavour, self.settings.limit
            store.save(state)
        except Exception as error:
            raise _OddStore(error) from error
        return swept, rubbish

    def _hold(self, store: Store, fd: int, swept: Swept, rubbish: list[Path]) -> Claim:
        """Remember the claim, then hold its lock until the container dies: one that nobody can find holds nothing."""
        fifo = self.record.with_suffix(".alive")
        mine = held.Held(str(self.volume), str(store.graphroot), str(store.tmp), store.name, str(fifo))
        if swept.images or swept.reset or swept.modes:
            lost = "".join(f"; {image}: {why}" for image, why in swept.images.items())
            self.messages.append(f"cache store {store.name}: {swept.text}{lost}")
        self._warn_of_low_space()
        trash = [store.trash] if store.root.is_dir(store.trash) else []
        try:
            mine.write(self.record)
            locks.hold(
                fd, fifo, [*rubbish, *trash], unflushed=[store.path] if self.unflushed or swept.unflushed else []
            )
        except OSError as error:
            with contextlib.suppress(OSError):
                self.record.unlink(missing_ok=True)
            what = f"cannot record the claim on cache store {store.name} in {self.record.parent}"
            raise VolumeError(
                what, error.strerror or "", "make room there, or name another PODMAN_AGENT_STATE_DIR"
            ) from error
        notes = [f"cache store {store.name}", *self.notes, *([swept.text] if swept else [])]
        return Claim(
            graphroot=store.graphroot,
            note=", ".join(notes),
            message="; ".join(self.messages),
            tmp=store.tmp,
            store=store.name,
            alive=str(fifo),
        )

    def _keep_budget(self, store: Store) -> list[Path]:
        """Bring the key under its budget while nothing runs on this store; what remains to be deleted."""
        if self.settings.budget is None:
            return []
        from podman_agent.store.budget import keep_within  # noqa: PLC0415 - rarely set

        done, rubbish = keep_within(self.directory, store, self.settings.budget)
        if done:
            self.notes.append(done)
        return rubbish

    def _add_sealed(self, store: Store, state: State) -> None:
        """Bring base images that were sealed since the store's last claim."""
        newest = layout.sealed_generations(self.directory, self.settings.flavour)[:1]
        if newest and newest[0][0] > state.sealed:
            number, source = newest[0]
            brought = self._bring(source, store)
            state.sealed = number
            if brought:
                self.notes.append(f"{brought} base images by hard links")

    def _warn_of_low_space(self) -> None:
        room = space(self.volume)
        if room.low:
            from podman_agent.store.usage import could_free  # noqa: PLC0415 - rarely needed

            freed = sizes.size_text(could_free(self.volume))
            self.messages.append(
                f"the cache volume is nearly full, {room.text}: `podman-agent gc` could free about {freed}"
            )


class _OddStore(Exception):  # noqa: N818 - never seen outside
    """One store cannot be used."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        text = cause.strerror if isinstance(cause, OSError) else None
        super().__init__(text or str(cause) or type(cause).__name__)


def _has_images(store: Store) -> bool:
    return any(store.root.mode(store.graphroot / f"{driver}-images/images.json") for driver in DRIVERS)


def _plain(owner: str) -> str:
    """A pod's name as part of a directory's name; one that is no plain name keeps apart by its digest."""
    if _OWNER.fullmatch(owner):
        return owner
    import hashlib  # noqa: PLC0415 - rarely needed

    digest = hashlib.sha256(owner.encode(errors="surrogateescape")).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9.-]', '-', owner)[:60]}-{digest}"
