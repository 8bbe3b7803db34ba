"""A store whose owner was killed is made whole, and nothing else of it is touched."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from podman_agent.store import durable, removal
from podman_agent.store.content import Content
from podman_agent.store.layout import Store
from podman_agent.store.record import State
from podman_agent.store.sweep import sweep
from podman_agent.store.verify import verify
from store.fabricate import Fabric, small

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1795426370.0  # the moment of fabricate.CREATED
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    path = tmp_path / "0"
    path.mkdir()
    return Store(path)


@pytest.fixture
def fabric(store: Store) -> Fabric:
    return small(store.graphroot)


def names(store: Store) -> set[str]:
    return {n for c in Content.all(store.graphroot) for i in c.images.values() for n in i["names"]}


def on_disk(store: Store) -> list[str]:
    return sorted(p.name for p in store.graphroot.glob("overlay*/*"))


def test_a_sound_store_is_left_as_it_is(store: Store, fabric: Fabric) -> None:
    before = on_disk(store)
    assert not sweep(store, now=NOW)
    assert on_disk(store) == before
    assert not verify(fabric.root).damage


def test_containers_of_the_dead_pod_go_with_their_layers(store: Store, fabric: Fabric) -> None:
    before = on_disk(store)
    image = fabric.images[1]
    fabric.container(image["id"], image["layer"])
    fabric.save()
    swept = sweep(store, now=NOW)
    assert (swept.containers, swept.layers, swept.orphans, swept.images) == (1, 0, 0, {})
    volatile = {"volatile-containers.json", "volatile-layers.json"}
    assert set(on_disk(store)) - volatile == set(before)


def test_a_layer_cut_off_in_mid_write_goes_and_its_image_with_it(store: Store, fabric: Fabric) -> None:
    fabric.layers[1]["flags"] = {"incomplete": True}
    fabric.save()
    assert list(sweep(store, now=NOW).images) == ["localhost/app:latest"]
    assert names(store) == {"docker.io/library/base:latest"}
    assert not verify(fabric.root).damage


def test_a_finished_layer_of_a_cut_off_pull_stays_a_day(store: Store, fabric: Fabric) -> None:
    fabric.layer({"pulled": b"before the kill"}, parent=fabric.layers[0]["id"])
    fabric.save()
    assert not sweep(store, now=NOW + DAY - 60)
    assert sweep(store, now=NOW + DAY + 60).layers == 1


@pytest.mark.parametrize("name", ["overlay", "overlay-images", "overlay-containers"])
def test_a_directory_without_record_is_an_orphan(store: Store, fabric: Fabric, name: str) -> None:
    (fabric.root / name / ("ab" * 32)).mkdir()
    assert sweep(store, now=NOW).orphans == 1
    assert not (fabric.root / name / ("ab" * 32)).exists()


def test_torn_temporary_files_and_staged_pulls_are_freed(store: Store, fabric: Fabric) -> None:
    (fabric.root / "overlay-images/.tmp-images.json123").write_text("[{")
    (fabric.root / "overlay/staging/half").mkdir(parents=True)
    store.tmp.mkdir()
    (store.tmp / "container_images_storage123").write_text("half a blob")
    (store.tmp / "buildah-cache-0").mkdir()
    assert sweep(store, now=NOW).temporary == 1
    assert not list((fabric.root / "overlay/staging").iterdir())
    assert [p.name for p in store.tmp.iterdir()] == ["buildah-cache-0"], "RUN --mount=type=cache must survive"


@pytest.mark.parametrize(
    "fault", ["manifest file gone", "manifest never added", "layer directory gone", "layer unknown"]
)
def test_an_image_that_cannot_be_used_is_dropped_and_named(store: Store, fabric: Fabric, fault: str) -> None:
    image = fabric.images[1]
    if fault == "manifest file gone":
        (fabric.root / "overlay-images" / image["id"] / "manifest").unlink()
    elif fault == "manifest never added":
        for key in ("big-data-sizes", "big-data-digests"):
            image[key] = {}
        image["big-data-names"] = []
    elif fault == "layer directory gone":
        (fabric.root / "overlay" / image["layer"]).rename(store.path / "away")
    else:
        fabric.layers.pop()
    fabric.save()
    swept = sweep(store, now=NOW)
    assert list(swept.images) == ["localhost/app:latest"]
    assert "1 damaged image" in swept.text
    assert not sweep(store, now=NOW).images, "once is enough"
    assert not verify(fabric.root).damage


def test_torn_records_start_the_store_anew(store: Store, fabric: Fabric) -> None:
    (fabric.root / "overlay-layers/layers.json").write_text('[{"id": "ab')
    assert "layers.json is torn" in sweep(store, now=NOW).text
    assert not list(fabric.root.iterdir())


def other_bytes(fabric: Fabric, layer: str) -> None:
    """What a crash leaves of a layer whose bytes were in memory alone: files of the right names, not their bytes."""
    for path in (fabric.root / "overlay" / layer / "diff").iterdir():
        if path.is_file():
            path.write_bytes(bytes(range(9)) * (path.stat().st_size // 9 + 1))


def test_after_a_node_crash_what_was_not_flushed_is_read_again_however_long_it_took(
    store: Store, fabric: Fabric
) -> None:
    for record in fabric.layers:  # begun an hour before the last write of the records, as a slow pull is
        record["created"] = datetime.fromtimestamp(NOW - 3600, UTC).isoformat().replace("+00:00", "Z")
    fabric.save()
    os.utime(fabric.root / "overlay-layers/layers.json", (NOW, NOW))
    store.save(State(flavour="root", boot="an earlier one"))
    other_bytes(fabric, fabric.layers[1]["id"])
    assert list(sweep(store, now=NOW).images) == ["localhost/app:latest"]


def test_after_a_node_crash_what_was_flushed_is_not_read_again(
    store: Store, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert durable.mark(store)
    assert not durable.mark(store), "nothing is new"
    store.save(State(flavour="root", boot="an earlier one"))
    read: list[set[str]] = []

    def torn(_: Content, layers: set[str]) -> set[str]:
        read.append(set(layers))
        return set()

    monkeypatch.setattr("podman_agent.store.verify.torn", torn)
    sweep(store, now=NOW)
    assert read == [set()]
    fabric.layers[1]["created"] = "2026-11-23T10:00:00Z"  # pulled anew
    fabric.save()
    sweep(store, now=NOW)
    assert read[1:] == [{fabric.layers[1]["id"]}]


def test_what_is_being_written_is_not_taken_for_flushed(store: Store, fabric: Fabric) -> None:
    fabric.layers[1]["flags"] = {"incomplete": True}
    fabric.save()
    durable.mark(store)
    assert set(durable.known(store)["overlay"]) == {fabric.layers[0]["id"]}


@pytest.mark.parametrize("text", ["", "[1]", '{"overlay": 3}', '{"overlay": {"x": 1}}', '{"overlay": {"x": [}'])
def test_an_odd_list_of_what_was_flushed_proves_nothing(store: Store, fabric: Fabric, text: str) -> None:
    (store.path / durable.FILE).write_text(text)
    [content] = Content.all(fabric.root)
    assert durable.doubtful(content, durable.known(store)) == {record["id"] for record in fabric.layers}


def test_an_adopted_store_keeps_young_containers_for_a_day(store: Store, fabric: Fabric) -> None:
    fabric.container(fabric.images[0]["id"], fabric.layers[0]["id"])
    fabric.save()
    store.save(State(adopted=NOW))
    assert sweep(store, now=NOW + 60).containers == 0
    assert sweep(store, now=NOW + DAY + 60).containers == 1


def test_a_kill_in_the_midst_of_the_sweep_is_mended_by_the_next(
    store: Store, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabric.layers[1]["flags"] = {"incomplete": True}
    fabric.save()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal, "discard", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(store, now=NOW)
    sweep(store, now=NOW)
    assert sweep(store, now=NOW).text == ""
    assert not verify(fabric.root).damage


def test_named_volumes_stay_in_the_database_and_anonymous_ones_go(store: Store, fabric: Fabric) -> None:
    with sqlite3.connect(fabric.root / "db.sql") as db:
        db.executescript(
            "CREATE TABLE DBConfig(GraphRoot TEXT); CREATE TABLE IDNamespace(ID TEXT);"
            "CREATE TABLE ContainerConfig(ID TEXT, Name TEXT); CREATE TABLE VolumeConfig(Name TEXT, JSON TEXT);"
            "CREATE TABLE VolumeState(Name TEXT, JSON TEXT);"
            "INSERT INTO ContainerConfig VALUES('c1', 'web'); INSERT INTO IDNamespace VALUES('c1');"
            """INSERT INTO VolumeConfig VALUES('m2', '{"isAnon":false}'), ('anon', '{"isAnon":true}');"""
        )
        db.execute("INSERT INTO DBConfig VALUES(?)", (str(fabric.root),))
    (fabric.root / "volumes/anon").mkdir(parents=True)
    sweep(store, now=NOW)
    with sqlite3.connect(fabric.root / "db.sql") as db:
        assert db.execute("SELECT Name FROM VolumeConfig").fetchall() == [("m2",)]
        assert db.execute("SELECT * FROM ContainerConfig").fetchall() == []
    assert not (fabric.root / "volumes/anon").exists()


def test_a_database_of_another_mount_path_is_taken_away(store: Store, fabric: Fabric) -> None:
    with sqlite3.connect(fabric.root / "db.sql") as db:
        db.executescript(
            "CREATE TABLE DBConfig(GraphRoot TEXT); INSERT INTO DBConfig VALUES('/elsewhere/storage');"
            "CREATE TABLE IDNamespace(ID TEXT); CREATE TABLE ContainerConfig(ID TEXT);"
        )
    sweep(store, now=NOW)
    assert (fabric.root / "db.sql").exists(), "gc may see the volume at another path than podman"
    sweep(store, now=NOW, moved_in=True)
    assert not (fabric.root / "db.sql").exists()
    assert names(store) == {"docker.io/library/base:latest", "localhost/app:latest"}
