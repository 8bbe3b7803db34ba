"""What is odd about one store on a volume neither breaks a build nor reaches another store."""

from __future__ import annotations

import itertools
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from podman_agent.errors import ConfigError, DataError
from podman_agent.store import claims, layout, locks, record, removal
from podman_agent.store.beneath import Root
from podman_agent.store.claims import claim
from podman_agent.store.clock import boot_id, now
from podman_agent.store.content import Content, image_names
from podman_agent.store.layout import HOME, Store
from podman_agent.store.record import State
from podman_agent.store.sweep import sweep
from podman_agent.store.verify import verify
from podman_agent.store.warm import warm
from store.conftest import holders
from store.fabricate import Fabric, small

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.store import Claim
    from store.conftest import Volume

NAMES = {"docker.io/library/base:latest", "localhost/app:latest"}
NEVER = {"PODMAN_AGENT_CACHE_LOCKS": "never"}


def stocked(volume: Volume, name: str = "a", key: str | None = None) -> tuple[Claim, Fabric]:
    """A claimed store with two images."""
    ours = volume.pod(name, key=key)
    ours.graphroot.rmdir()
    return ours, small(ours.graphroot)


def of(volume: Volume, ours: Claim) -> Store:
    return Store(volume.root / HOME / ours.store)


_NUMBERS = itertools.count()


def again(volume: Volume, name: str) -> Claim:
    """What a second container with the same HOSTNAME gets."""
    fresh = volume.path / f"run-{next(_NUMBERS)}"  # each container has a /run of its own
    return claim(volume.root, key=None, env={"HOSTNAME": name, **NEVER}, legacy=volume.root / "storage", run=fresh)


def test_two_containers_of_one_pod_do_not_share_its_named_store(volume: Volume) -> None:
    first = volume.pod("agent", **NEVER)
    second = again(volume, "agent")
    assert (first.store, second.store) == ("default/pod-agent", "default/pod-agent_2")
    assert not of(volume, first).provable
    assert len(holders(volume.root)) == 2
    volume.kill(first)
    assert again(volume, "agent").store == first.store


def test_where_no_lock_can_be_had_a_store_that_exists_is_not_reused(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "trial", lambda _: "two openers both got an exclusive lock")
    assert volume.pod("agent", **NEVER).store == "default/pod-agent"
    assert again(volume, "agent").store == "default/pod-agent_2"


def test_a_named_store_says_from_its_first_moment_that_its_lock_proves_nothing(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    stocked(volume)
    seen: list[bool] = []

    def merging(_source: Path, target: Path, _aside: Path) -> int:
        seen.append(Store(target.parent).state.locks)
        return 0

    monkeypatch.setattr(claims, "merge", merging)
    volume.pod("agent", **NEVER)
    assert seen == [False]


def test_a_store_whose_pod_was_killed_during_its_warm_start_gets_one_again(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    stocked(volume)

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(claims, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            volume.pod("b")
    ours = volume.pod("c")
    assert ours.store == "default/1"
    assert image_names(ours.graphroot) == NAMES


def test_a_pods_name_does_not_lead_to_another_key(volume: Volume) -> None:
    theirs = volume.pod("a", key="other")
    ours = volume.pod("b", POD_NAME="a/../../other/0", **NEVER)
    assert ours.graphroot != theirs.graphroot
    assert ours.graphroot.parent.parent == volume.root / HOME / "default"


def test_a_store_whose_state_is_torn_keeps_its_kind_and_is_looked_at_as_after_a_crash(volume: Volume) -> None:
    ours, fabric = stocked(volume)
    volume.kill(ours)
    os.utime(fabric.root / "overlay-layers/layers.json", (1795426370.0, 1795426370.0))
    (fabric.root / "overlay" / fabric.layers[1]["id"] / "diff/app").write_bytes(b"HELLO")
    (of(volume, ours).path / "state.json").write_text("")
    assert of(volume, ours).state.flavour == "root"
    claimed = volume.pod("b")
    assert claimed.store == ours.store
    assert "localhost/app:latest" in claimed.message
    assert not verify(claimed.graphroot).damage


def test_a_store_with_content_of_an_unknown_kind_is_nobodys(volume: Volume) -> None:
    ours, _ = stocked(volume)
    volume.kill(ours)
    for name in ("state.json", "flavour"):
        (of(volume, ours).path / name).write_text("")
    assert volume.pod("b").store != ours.store


def test_a_collection_before_the_first_claim_after_a_crash_finds_what_it_tore(tmp_path: Path) -> None:
    store = Store(tmp_path / "0")
    fabric = small(store.graphroot)
    os.utime(fabric.root / "overlay-layers/layers.json", (1795426370.0, 1795426370.0))
    store.save(State(flavour="root", boot="an earlier one"))
    (fabric.root / "overlay" / fabric.layers[1]["id"] / "diff/app").write_bytes(b"HELLO")
    assert list(sweep(store, now=1795426370.0, unreferenced_age=0).images) == ["localhost/app:latest"]


def test_a_lower_that_a_crash_emptied_costs_the_image(tmp_path: Path) -> None:
    store = Store(tmp_path / "0")
    fabric = small(store.graphroot)
    store.save(State(flavour="root", boot=boot_id()))
    (fabric.root / "overlay" / fabric.layers[1]["id"] / "lower").write_bytes(b"")
    assert not sweep(store, now=1795426370.0)
    store.save(State(flavour="root", boot="an earlier one"))
    assert list(sweep(store, now=1795426370.0).images) == ["localhost/app:latest"]


def test_what_root_collects_stays_its_owners(tmp_path: Path) -> None:
    store = Store(tmp_path / "0")
    fabric = small(store.graphroot)
    fabric.container(fabric.images[0]["id"], fabric.layers[0]["id"])
    fabric.save()
    store.save(State(flavour="single-1000", boot=boot_id()))
    for path in (store.path, *store.path.rglob("*")):
        os.chown(path, 1000, 1001, follow_symlinks=False)
    (fabric.root / "overlay-layers/layers.json").chmod(0o640)
    assert sweep(store, now=1795426370.0).containers == 1
    store.save(store.state)
    with locks.locked(store):
        found = {p: p.lstat() for p in store.path.rglob("*")}
    assert {(s.st_uid, s.st_gid) for s in found.values()} == {(1000, 1001)}
    assert found[store.trash].st_uid == 1000
    modes = {p.name: s.st_mode & 0o777 for p, s in found.items() if p.suffix == ".json"}
    assert (modes["layers.json"], modes["volatile-layers.json"]) == (0o640, 0o600)


def test_a_file_that_cannot_be_given_to_its_owner_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "layers.json"
    path.write_text("[]")
    os.chown(path, 1000, 1000)

    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(PermissionError):
        record.write_json(path, [1])
    assert [p.name for p in tmp_path.iterdir()] == ["layers.json"]
    assert path.read_text() == "[]"


@pytest.mark.parametrize("link", ["storage", "storage.tmp", "trash", "storage/overlay", "storage/overlay-containers"])
def test_a_planted_link_does_not_lead_the_repair_into_another_key(volume: Volume, link: str) -> None:
    theirs, fabric = stocked(volume, key="other")
    fabric.container(fabric.images[0]["id"], fabric.layers[0]["id"])
    fabric.save()
    (theirs.tmp or volume.root).joinpath("copy").write_text("half a blob")
    before = sorted(p for p in of(volume, theirs).path.rglob("*"))
    bad, _ = stocked(volume, name="b")
    volume.kill(bad)
    store = of(volume, bad)
    target = of(volume, theirs).path / link
    shutil.rmtree(store.path / link, ignore_errors=True)
    (store.path / link).symlink_to(target if target.exists() else of(volume, theirs).path)
    with locks.locked(store) as free:
        assert free
        sweep(store, now=now(), unreferenced_age=0)
    assert volume.pod("c").store == bad.store
    assert not (store.path / link).is_symlink()
    assert sorted(p for p in of(volume, theirs).path.rglob("*")) == before


def test_content_behind_a_link_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "theirs")
    fabric = small(tmp_path / "ours")
    shutil.rmtree(fabric.root / "overlay-images")
    (fabric.root / "overlay-images").symlink_to(tmp_path / "theirs/overlay-images")
    with pytest.raises(DataError, match="symbolic link"):
        Content.all(fabric.root)


def test_a_sealed_store_behind_a_link_is_none(volume: Volume) -> None:
    small(volume.root / HOME / "other/1/storage")
    directory = layout.key_directory(volume.root, "default")
    (directory / "sealed").symlink_to("../other")
    assert layout.sealed_generations(directory) == []
    with pytest.raises(ConfigError, match="symbolic link"):
        warm(volume.root, "default", ["busybox"], {}, "")


def test_a_generation_is_on_disk_before_it_has_its_name(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[list[str]] = []
    flush = warm.__globals__["_flush"]

    def noted(directory: Path) -> None:
        flush(directory)
        flushed.append(sorted(p.name for p in directory.iterdir()))
        assert layout.sealed_generations(volume.root / HOME / "default") == []

    monkeypatch.setitem(warm.__globals__, "_flush", noted)
    monkeypatch.setitem(warm.__globals__, "_pull", lambda storage, *_: small(storage))
    assert warm(volume.root, None, ["base", "app"], {}, "") == (1, 2)
    assert flushed == [["flavour", "storage"]]


@pytest.mark.parametrize(
    "text", ['{"jobs": null}', '{"claimed": "x", "jobs": {"a": "b"}, "sealed": []}', "[]", "3", '{"new": 1}']
)
def test_a_state_with_odd_values_is_no_obstacle(volume: Volume, text: str) -> None:
    ours = volume.pod("a", JOB_NAME="a")
    volume.kill(ours)
    (of(volume, ours).path / "state.json").write_text(text)
    assert volume.pod("b", JOB_NAME="a").store == ours.store


def test_a_file_among_the_short_links_is_no_obstacle(volume: Volume) -> None:
    ours, fabric = stocked(volume)
    (fabric.root / "overlay/l/README").write_text("not podman's")
    volume.kill(ours)
    assert volume.pod("b").store == ours.store


def test_a_store_that_cannot_be_repaired_is_passed_over_and_named(volume: Volume) -> None:
    first = volume.pod("a")
    second = volume.pod("b")
    volume.kill(first)
    volume.kill(second)
    removal.remove(first.graphroot)
    first.graphroot.write_text("a file where podman has a directory")
    state = of(volume, first).state
    state.claimed += 1000
    of(volume, first).save(state)
    ours = volume.pod("c")
    assert ours.store == second.store
    assert f"cache store {first.store} is passed over" in ours.message


def test_leftovers_of_trials_and_adoptions_are_found_once_they_are_old(volume: Volume) -> None:
    directory = layout.key_directory(volume.root, "default")
    for name in (".lock-trial-1", ".adopt-1", ".trash-1", "0"):
        (directory / name).mkdir()
    assert [p.name for p in removal.leftovers(directory, now() - 3600, Root(volume.root))] == [".trash-1"]
    found = sorted(p.name for p in removal.leftovers(directory, now() + 1, Root(volume.root)))
    assert found == [".adopt-1", ".lock-trial-1", ".trash-1"]


def test_what_a_killed_pod_of_the_same_pid_left_is_no_obstacle(volume: Volume) -> None:
    small(volume.root / "storage")
    directory = layout.key_directory(volume.root, "default")
    for name in (".adopt-", ".lock-trial-"):
        (directory / f"{name}{os.getpid()}").mkdir()
    assert volume.pod("a").graphroot == volume.root / "storage"


def test_the_plain_store_is_adopted_although_another_kind_took_the_first_number(volume: Volume) -> None:
    directory = layout.key_directory(volume.root, "default")
    theirs = layout.new_store(directory)
    theirs.save(State(flavour="rootless-1000"))
    small(volume.root / "storage")
    ours = volume.pod("a")
    assert (ours.store, ours.graphroot) == ("default/1", volume.root / "storage")
    assert "is now cache store default/1" in ours.message
    assert volume.pod("b").store == "default/2", "once"
    assert image_names(volume.root / "storage") == NAMES
