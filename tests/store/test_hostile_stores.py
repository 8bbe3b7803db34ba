"""Whatever a store is made of, it is named and passed over within a second, and the others are looked after."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from typing import TYPE_CHECKING

import pytest
from podman_agent import cli
from podman_agent.store import gc, layout
from podman_agent.store.layout import HOME, Store
from podman_agent.store.record import State
from store.fabricate import small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from store.conftest import Volume

SECONDS = 5.0  # a second, on a machine that does five other things


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero


def directory(path: Path) -> None:
    (path / ("n" * 255)).mkdir(parents=True)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(40 << 30)


def deep(path: Path) -> None:
    path.write_text("[" * 200_000)


def numbers(path: Path) -> None:
    path.write_text('{"claimed": Infinity, "adopted": NaN, "limit": -1, "jobs": {"x": NaN}, "owner": "\\u001b[2J"}')


def records(path: Path) -> None:
    path.write_text(json.dumps([{"id": "../../../../other/0/storage", "names": [7], "layer": {}, "parent": []}]))


ODD = (fifo, device, directory, loop, endless, sparse, deep, numbers, records)
PLACES = (
    *("state.json", "flavour", "lock", "trash", "storage", "storage.tmp", "storage/db.sql"),
    *("storage/overlay", "storage/overlay/l", "storage/overlay-layers", "storage/overlay-layers/layers.json"),
    *("storage/overlay-images/images.json", "storage/overlay-containers/containers.json", "storage/vfs-layers"),
)


@pytest.fixture(autouse=True)
def bell() -> Iterator[None]:
    """What waits for ever is interrupted, for a test is not to."""

    def late(*_: object) -> None:
        msg = "it waits"
        raise TimeoutError(msg)

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def three_stores(volume: Volume) -> list[Store]:
    directory = layout.key_directory(volume.root, "default")
    made = [layout.new_store(directory) for _ in range(3)]
    for number, store in enumerate(made):
        small(store.graphroot)
        store.save(State(flavour="root", claimed=time.time() - number))
        (store.graphroot / "overlay" / ("ab" * 32)).mkdir()
    return made


def spoil(path: Path, how: Callable[[Path], None]) -> None:
    aside = path.with_name("aside")
    if os.path.lexists(path):
        path.rename(aside)
    how(path)


CASES = [
    *((place, how) for place in PLACES for how in (fifo, loop)),
    *((place, how) for place in ("lock", "state.json", "storage/overlay-layers/layers.json") for how in ODD[1:]),
    ("storage/db.sql", sparse),
    ("storage/overlay-images/images.json", records),
]


@pytest.mark.parametrize(("place", "how"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_one_bad_store_stops_neither_gc_nor_ls_nor_a_claim(
    volume: Volume, capsys: pytest.CaptureFixture[str], place: str, how: Callable[[Path], None]
) -> None:
    bad, *sound = three_stores(volume)
    spoil(bad.path / place, how)
    started = time.monotonic()
    assert cli.main(["cache", "ls", "--volume", str(volume.root)]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()[1:4]] == ["default/0", "default/1", "default/2"]
    assert listed.replace("\n", "").isprintable()
    code = cli.main(["gc", "--volume", str(volume.root)])
    said = capsys.readouterr()
    assert (code, "Traceback" in said.err) in ((0, False), (73, False))
    assert "default/0: " in said.out
    assert "default/1: removed 1 orphan directory" in said.out
    assert not any((store.graphroot / "overlay" / ("ab" * 32)).exists() for store in sound)
    ours = volume.pod("a")
    assert ours.graphroot.is_dir()
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("how", [fifo, directory], ids=lambda f: f.__name__)
@pytest.mark.parametrize("place", ["lock", "1", "1/flavour", "1/storage"])
def test_an_odd_sealed_store_is_passed_over(volume: Volume, place: str, how: Callable[[Path], None]) -> None:
    store = three_stores(volume)[0]
    home = store.path.parent / "sealed"
    (home / "1/storage").mkdir(parents=True)
    (home / "1/flavour").write_text("root")
    (home / "lock").touch()
    spoil(home / place, how)
    assert len(gc.collect(volume.root, gc.Policy())) == 3
    assert volume.pod("a").graphroot.is_dir()


def test_thousands_of_stores_and_keys_take_seconds(volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    three_stores(volume)
    home = volume.root / HOME
    for number in range(3, 1500):
        (home / f"default/{number}").mkdir()
    for number in range(1500):
        (home / f"k{number}/0").mkdir(parents=True)
    started = time.monotonic()
    assert cli.main(["cache", "ls", "--volume", str(volume.root)]) == 0
    assert volume.pod("a").store == "default/0"
    assert cli.main(["gc", "--budget", "1k", "--volume", str(volume.root)]) == 0
    assert time.monotonic() - started < 30
    assert "default/1499: store removed" in capsys.readouterr().out


def test_what_cannot_be_deleted_is_named_and_not_counted_as_freed(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An immutable file (chattr +i): its unlink says EPERM."""
    store = three_stores(volume)[0]
    (store.path / "immutable").write_bytes(bytes(1 << 20))
    original = os.unlink

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        if path == "immutable":
            raise PermissionError(1, "Operation not permitted")
        original(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    outcome = gc.collect(volume.root, gc.Policy(age=-1))[0]
    assert "Operation not permitted: immutable" in outcome.error
    assert outcome.freed < 1 << 20
