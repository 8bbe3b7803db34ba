"""Garbage collection frees what nobody holds, and says what."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from typing import TYPE_CHECKING

import pytest
from podman_agent import cli
from podman_agent.commands.gc import parse_age, parse_size
from podman_agent.errors import UsageError
from podman_agent.store import gc, layout, locks, removal, sealed, usage
from podman_agent.store.beneath import Root
from podman_agent.store.clock import now
from podman_agent.store.content import image_names
from podman_agent.store.layout import HOME, Store
from podman_agent.store.record import State
from podman_agent.store.usage import could_free
from podman_agent.store.verify import verify
from store.fabricate import Fabric, small

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from podman_agent.store import Claim
    from store.conftest import Volume

DAY = 86400.0


def stocked(volume: Volume, name: str) -> tuple[Claim, Fabric]:
    ours = volume.pod(name)
    removal.remove(ours.graphroot)
    return ours, small(ours.graphroot)


def exists(volume: Volume, store: str) -> bool:
    return (volume.root / HOME / store).is_dir()


def test_a_store_in_use_is_left_alone(volume: Volume) -> None:
    _, fabric = stocked(volume, "a")
    (fabric.root / "overlay" / ("ab" * 32)).mkdir()
    [outcome] = gc.collect(volume.root, gc.Policy(budget=0, age=0))
    assert outcome.skipped == "in use by a"
    assert (fabric.root / "overlay" / ("ab" * 32)).is_dir()


def test_orphans_are_freed_and_reported(volume: Volume) -> None:
    ours, fabric = stocked(volume, "a")
    orphan = fabric.root / "overlay" / ("ab" * 32)
    orphan.mkdir()
    (orphan / "file").write_bytes(bytes(1_000_000))
    volume.kill(ours)
    [outcome] = gc.collect(volume.root, gc.Policy())
    assert outcome.done == ["removed 1 orphan directory"]
    assert 1_000_000 <= outcome.freed < 1_100_000
    assert not verify(fabric.root).damage


def test_a_store_unused_for_too_long_goes(volume: Volume, clock: Callable[[float], None]) -> None:
    ours, _ = stocked(volume, "a")
    volume.kill(ours)
    clock(now() + 15 * DAY)
    [outcome] = gc.collect(volume.root, gc.Policy(age=14 * DAY))
    assert outcome.done == ["store removed, unused for 15d"]
    assert not exists(volume, ours.store)


def test_a_store_made_for_a_rush_goes(volume: Volume) -> None:
    first, _ = stocked(volume, "a")
    extra = volume.pod("b", PODMAN_AGENT_CACHE_STORES="1")
    volume.kill(first)
    volume.kill(extra)
    gc.collect(volume.root, gc.Policy(limit=1))
    assert (exists(volume, first.store), exists(volume, extra.store)) == (True, False)


def test_pods_that_may_have_more_stores_keep_them_whatever_a_collector_was_told(volume: Volume) -> None:
    claims = [volume.pod(name, PODMAN_AGENT_CACHE_STORES="2") for name in "ab"]
    for ours in claims:
        volume.kill(ours)
    gc.collect(volume.root, gc.Policy(limit=1))
    assert all(exists(volume, ours.store) for ours in claims)


def test_over_budget_the_least_recently_used_store_goes_first(volume: Volume, clock: Callable[[float], None]) -> None:
    clock(1000.0 + now())
    old, _ = stocked(volume, "a")
    clock(2000.0 + now())
    new = volume.pod("b")
    removal.remove(new.graphroot)
    small(new.graphroot)
    both = usage.usage([volume.root / HOME], Root(volume.root))
    for ours in (old, new):
        volume.kill(ours)
    gc.collect(volume.root, gc.Policy(budget=both * 3 // 4))
    assert (exists(volume, old.store), exists(volume, new.store)) == (False, True)
    assert len(image_names(new.graphroot)) == 2


def test_in_the_last_store_images_nobody_stands_on_go_first(volume: Volume) -> None:
    ours, fabric = stocked(volume, "a")
    volume.kill(ours)
    gc.collect(volume.root, gc.Policy(budget=usage.usage([volume.root / HOME], Root(volume.root)) - 16384))
    assert image_names(fabric.root) == {"docker.io/library/base:latest"}
    assert not verify(fabric.root).damage


def test_hard_links_free_nothing_until_the_last_is_gone(volume: Volume) -> None:
    first, _ = stocked(volume, "a")
    second = volume.pod("b")
    volume.kill(first)
    shared = gc.remove_store(Store(volume.root / HOME / first.store)).freed
    volume.kill(second)
    assert gc.remove_store(Store(volume.root / HOME / second.store)).freed > shared + 65000


def test_old_unnamed_images_go_and_young_ones_stay(volume: Volume) -> None:
    ours, fabric = stocked(volume, "a")
    for image in fabric.images:
        image["names"] = []
    fabric.save()
    volume.kill(ours)
    os.utime(fabric.root / "overlay-images" / fabric.images[1]["id"], (1, 1))
    [outcome] = gc.collect(volume.root, gc.Policy())
    assert outcome.done == ["removed 1 unnamed image"]
    assert verify(fabric.root).images == 1


def test_a_store_named_by_a_pod_goes_only_after_long_silence(volume: Volume, clock: Callable[[float], None]) -> None:
    ours = volume.pod("agent", PODMAN_AGENT_CACHE_LOCKS="never")
    volume.kill(ours)
    [outcome] = gc.collect(volume.root, gc.Policy(age=0))
    assert "not old enough" in outcome.skipped
    clock(now() + 3 * DAY)
    gc.collect(volume.root, gc.Policy(age=0))
    assert not exists(volume, ours.store)


def test_an_adopted_store_is_emptied_in_its_place(volume: Volume) -> None:
    small(volume.root / "storage")
    ours = volume.pod("a")
    volume.kill(ours)
    outcome = gc.remove_store(Store(volume.root / HOME / ours.store))
    assert outcome.freed > 70000
    assert list((volume.root / "storage").iterdir()) == []
    assert volume.pod("b").graphroot == volume.root / HOME / "default/0/storage"


def test_a_claimer_that_comes_while_a_store_is_removed_takes_another(volume: Volume) -> None:
    ours, _ = stocked(volume, "a")
    volume.kill(ours)
    store = Store(volume.root / HOME / ours.store)
    with locks.locked(store) as free:
        assert free
        assert volume.pod("b").store == "default/1"


def test_what_could_be_freed_is_estimated_without_the_bytes_of_pods_at_work(volume: Volume) -> None:
    first, _ = stocked(volume, "a")
    second = volume.pod("b")  # hard links of the same layers
    volume.kill(first)
    assert could_free(volume.root) == 0
    volume.kill(second)
    assert could_free(volume.root) > 70000


@pytest.mark.parametrize(("text", "size"), [("40G", 40_000_000_000), ("500Mi", 500 << 20), ("1.5k", 1500), ("7", 7)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1G", "1Q"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_ages() -> None:
    assert (parse_age("90s"), parse_age("36h"), parse_age("14d")) == (90, 129600, 14 * DAY)


def command(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_lists_collects_verifies_and_removes(volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    ours, fabric = stocked(volume, "a")
    at = ("--volume", str(volume.root))
    [row] = json.loads(command(capsys, "cache", "ls", "--json", *at)[1])
    assert (row["store"], row["state"], row["owner"], row["images"]) == ("default/0", "claimed", "a", 2)
    assert "default/0  claimed  a" in command(capsys, "cache", "ls", *at)[1]
    code, _, err = command(capsys, "cache", "rm", "default/0", *at)
    assert (code, "a pod is using it" in err) == (78, True)
    volume.kill(ours)
    assert command(capsys, "cache", "verify", *at)[0] == 0
    next((fabric.root / "overlay").glob("*/diff/big")).unlink()
    code, out, err = command(capsys, "cache", "verify", *at)
    assert code == 76
    assert "DAMAGED layer" in out
    assert "localhost/app:latest" in out
    assert len(err.splitlines()) == 1
    assert "freed" in command(capsys, "gc", *at)[1]
    assert "freed" in command(capsys, "cache", "gc", *at)[1]
    assert command(capsys, "cache", "rm", "--all", *at)[0] == 0
    assert not exists(volume, "default/0")
    assert State.read(volume.root / HOME / "default/0/state.json", Root(volume.root)) == State()


def test_a_large_blob_info_cache_goes_when_no_pod_is_there(volume: Volume) -> None:
    ours, _ = stocked(volume, "a")
    cache = volume.root / "cache/blob-info-cache-v1.sqlite"
    cache.parent.mkdir()
    cache.write_bytes(bytes(gc.BLOB_INFO_KEPT))
    assert gc.collect(volume.root, gc.Policy())[-1].skipped == "in use by a pod"
    assert cache.exists()
    volume.kill(ours)
    assert gc.collect(volume.root, gc.Policy())[-1].freed >= gc.BLOB_INFO_KEPT
    assert not cache.exists()


def test_a_small_blob_info_cache_stays(volume: Volume) -> None:
    cache = volume.root / "cache/blob-info-cache-v1.sqlite"
    cache.parent.mkdir()
    cache.write_bytes(bytes(4096))
    assert gc.collect(volume.root, gc.Policy()) == []
    assert cache.exists()


def test_a_store_named_by_a_pod_is_not_removed_by_its_lock_alone(volume: Volume) -> None:
    """Whatever its record says: a full volume leaves none, and an empty one says that locks work."""
    ours = volume.pod("agent", PODMAN_AGENT_CACHE_LOCKS="never")
    store = Store(volume.root / HOME / ours.store)
    (store.path / "state.json").unlink()
    volume.kill(ours)
    assert "proves nothing" in gc.remove_store(store).skipped
    [outcome] = gc.collect(volume.root, gc.Policy(age=0))
    assert "not old enough" in outcome.skipped
    assert store.path.is_dir()
    assert could_free(volume.root) == 0


def test_a_store_that_another_collector_removes_meanwhile_stops_nothing(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, _ = stocked(volume, "a")
    kept, fabric = stocked(volume, "b")
    (fabric.root / "overlay" / ("ab" * 32)).mkdir()
    for ours in (gone, kept):
        volume.kill(ours)
    listed = layout.stores(volume.root / HOME / "default")
    removal.remove(volume.root / HOME / gone.store)
    monkeypatch.setattr(layout, "stores", lambda *_: listed)
    outcomes = gc.collect(volume.root, gc.Policy())
    assert [o.skipped or o.done for o in outcomes] == ["removed meanwhile", ["removed 1 orphan directory"]]


def test_a_store_made_while_gc_works_counts_in_the_budget(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    for ours in [stocked(volume, name)[0] for name in "ab"]:
        volume.kill(ours)
    tidy = sealed.collect

    def late(directory: Path) -> None:
        tidy(directory)
        small(layout.new_store(directory).graphroot)

    monkeypatch.setattr(sealed, "collect", late)
    assert len(gc.collect(volume.root, gc.Policy(budget=0))) == 3


def test_a_store_that_cannot_be_written_does_not_keep_the_others_from_being_collected(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = [stocked(volume, name) for name in "ab"]
    for ours, fabric in claims:
        (fabric.root / "overlay" / ("ab" * 32)).mkdir()
        volume.kill(ours)
    discard = removal.discard

    def full(store: Store, *paths: Path) -> None:
        if store.path.name == "0":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(store.trash))
        discard(store, *paths)

    monkeypatch.setattr(removal, "discard", full)
    code, out, err = command(capsys, "gc", "--volume", str(volume.root))
    assert (code, "default/0" in err, "No space left" in err) == (73, True, True)
    assert "default/1: removed 1 orphan directory" in out


@pytest.mark.parametrize("at", ["storage", "storage/overlay", "storage/overlay/l", "storage.tmp", "trash"])
def test_a_link_into_a_store_of_another_key_is_not_followed(volume: Volume, at: str) -> None:
    theirs, fabric = stocked(volume, "a")
    orphan = fabric.root / "overlay" / ("ab" * 32)
    orphan.mkdir()
    store = layout.new_store(layout.key_directory(volume.root, "b"))
    link = store.path / at
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(volume.root / HOME / theirs.store / at)
    outcome = gc.collect(volume.root, gc.Policy(budget=0, age=0), "b")[0]
    assert "symbolic link" in outcome.skipped
    assert "symbolic link" in gc.remove_store(store).skipped
    assert orphan.is_dir()


def test_a_sealed_that_is_a_link_does_not_take_stores_for_generations(volume: Volume) -> None:
    claims = [volume.pod(name) for name in "abcd"]
    (layout.key_directory(volume.root, "b") / "sealed").symlink_to("../default")
    gc.collect(volume.root, gc.Policy(), "b")
    assert all(exists(volume, ours.store) for ours in claims)


def test_the_limit_is_one_of_each_kind_of_pods(volume: Volume) -> None:
    claims = [volume.pod(name) for name in "ab"]
    store = Store(volume.root / HOME / claims[1].store)
    state = store.state
    state.flavour = "rootless-1000"
    store.save(state)
    for ours in claims:
        volume.kill(ours)
    gc.collect(volume.root, gc.Policy(limit=1))
    assert all(exists(volume, ours.store) for ours in claims)


def test_what_a_killed_warm_left_is_freed_but_not_beside_a_warm_at_work(volume: Volume) -> None:
    stocked(volume, "a")
    home = volume.root / HOME / "default/sealed"
    left = home / ".new-1"
    small(left / "storage")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        gc.collect(volume.root, gc.Policy())
        assert left.is_dir()
    gc.collect(volume.root, gc.Policy())
    assert not left.exists()


def test_sealed_images_over_the_budget_do_not_cost_the_last_store_its_own(
    volume: Volume, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, fabric = stocked(volume, "a")
    generation = volume.root / HOME / "default/sealed/1"
    small(generation / "storage")
    volume.kill(ours)
    [outcome, said] = gc.collect(volume.root, gc.Policy(budget=1))
    assert not outcome.done
    assert said.store == "default/sealed"
    assert said.skipped.endswith("podman-agent cache rm default/sealed/1")
    assert image_names(fabric.root)
    assert cli.main(["cache", "rm", "--volume", str(volume.root), "default/sealed/1"]) == 0
    assert "default/sealed/1: " in capsys.readouterr().out
    assert not generation.exists()


def test_leftovers_of_trials_and_adoptions_go_when_they_are_old(volume: Volume, clock: Callable[[float], None]) -> None:
    stocked(volume, "a")
    directory = volume.root / HOME / "default"
    (directory / ".lock-trial-1").touch()
    (directory / ".adopt-1").mkdir()
    gc.collect(volume.root, gc.Policy())
    assert (directory / ".lock-trial-1").exists()
    clock(now() + 2 * 3600)
    gc.collect(volume.root, gc.Policy())
    assert not list(directory.glob(".lock-trial-*")) + list(directory.glob(".adopt-*"))
