"""What counts as an engine at work, and what the collection of a pod's own store touches."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.store import clock, gc, gc_held
from podman_agent.store.layout import HOME, Store
from store.fabricate import small

if TYPE_CHECKING:
    from pathlib import Path

    from store.conftest import Volume


def process(proc: Path, *argv: str, state: str = "01") -> Path:
    """A /proc with one podman that has a socket in `state`."""
    (proc / "7/fd").mkdir(parents=True)
    (proc / "net").mkdir()
    (proc / "7/cmdline").write_bytes(b"\0".join(a.encode() for a in argv) + b"\0")
    (proc / "7/comm").write_text("podman\n")
    (proc / "7/stat").write_text(f"7 (podman) S {' 0' * 18} 500 0\n")
    (proc / "stat").write_text("cpu 1 2 3\nbtime 1795426000\n")
    (proc / "7/fd/3").symlink_to("socket:[41]")
    line = f"0000000000000000: 00000003 00000000 00000000 0001 {state} 41 /run/podman/podman.sock\n"
    (proc / "net/unix").write_text(f"Num       RefCount Protocol Flags    Type St Inode Path\n{line}")
    return proc


@pytest.mark.parametrize(
    "argv",
    [
        ["podman", "build", "-t", "x", "service"],
        ["podman", "build", "-t", "system", "service"],
        ["podman", "run", "busybox", "pause"],
        ["podman", "--log-level", "info", "pull", "system", "service"],
    ],
)
def test_a_command_with_a_word_of_the_service_is_at_work(tmp_path: Path, argv: list[str]) -> None:
    assert gc_held.at_work(process(tmp_path, *argv))


@pytest.mark.parametrize("options", [[], ["--log-level", "info"], ["--log-level=info"]])
def test_a_service_is_at_work_while_a_client_is_connected(tmp_path: Path, options: list[str]) -> None:
    argv = ["podman", *options, "system", "service", "--time=0"]
    assert not gc_held.at_work(process(tmp_path / "idle", *argv))
    assert gc_held.at_work(process(tmp_path / "busy", *argv, state="03"))


def noted(seen: list[Any], what: object) -> bool:
    """Write something down; false, for a lambda that goes on."""
    seen.append(what)
    return False


def test_a_build_that_starts_during_the_walk_keeps_what_it_writes(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Store(volume.root / HOME / volume.pod("a").store)
    written = tmp_path / "diff"
    written.mkdir()
    order: list[str] = []
    monkeypatch.setattr(gc_held, "usage", lambda *_: noted(order, "walk") or 0)
    monkeypatch.setattr(gc_held, "dead_builds", lambda _: noted(order, "list") or [("c", written)])
    monkeypatch.setattr(gc_held, "at_work", lambda: noted(order, "ask") or True)
    outcome = gc.Outcome(store.name)
    gc_held.collect(store, gc.Policy(), outcome, "false")
    assert order.index("ask") > order.index("list")
    assert order.index("ask") > order.index("walk")
    assert "at work" in outcome.skipped


def test_the_budget_of_an_adopted_store_counts_what_lies_in_its_place(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabric = small(volume.root / "storage")
    store = Store(volume.root / HOME / volume.pod("a").store)
    assert store.adopted
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(gc_held, "at_work", lambda: False)
    monkeypatch.setattr(gc_held, "_podman", lambda _, *args: noted(asked, args) or "")
    gc_held.collect(store, gc.Policy(budget=50_000, age=clock.now()), gc.Outcome(store.name), "podman")
    assert ("rmi", *fabric.images[1]["names"]) in asked


def test_what_dead_builds_left_goes_and_what_a_running_one_has_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabric = small(tmp_path / "storage")
    for name, hour in (("build", "09"), ("build", "10"), ("run", "08")):
        fabric.containers.append({"image": fabric.images[0]["id"], "layer": fabric.layers[0]["id"]})
        fabric.containers[-1] |= {"id": f"{len(fabric.containers):064x}", "created": f"2026-11-23T{hour}:00:00Z"}
        if name == "build":
            userdata = tmp_path / "storage/overlay-containers" / fabric.containers[-1]["id"] / "userdata"
            userdata.mkdir(parents=True)
            (userdata / "buildah.json").write_text("{}")
    fabric.save()
    removed: list[str] = []
    monkeypatch.setattr(gc_held, "_podman", lambda _, *args: "" if noted(removed, args[-1][-1]) else "x")
    half_past = datetime(2026, 11, 23, 9, 30, tzinfo=UTC).timestamp()

    def cleared(oldest: float | None, since: float = 0.0) -> list[str]:
        monkeypatch.setattr(gc_held, "oldest_at_work", lambda: oldest)
        gc_held.clear_dead_builds("podman", tmp_path / "storage", since)
        done, removed[:] = removed[:], []
        return done

    assert cleared(None) == ["1", "2"]
    assert cleared(half_past) == ["1"], "the other is younger than an engine that is at work"
    assert cleared(None, half_past) == ["2"], "the other is none of the caller's"


def test_an_engine_that_has_ended_is_not_at_work(tmp_path: Path) -> None:
    proc = process(tmp_path, "podman", "build", ".")
    assert gc_held.at_work(proc)
    (proc / "7/stat").write_text((proc / "7/stat").read_text().replace(" S ", " Z "))
    assert not gc_held.at_work(proc)


def test_the_oldest_engine_at_work_is_this_very_sleep(tmp_path: Path) -> None:
    before = time.time()
    engine = tmp_path / "skopeo"
    shutil.copy(shutil.which("sleep") or "", engine)
    with subprocess.Popen([engine, "60"]) as process:
        try:
            started = gc_held.oldest_at_work()
        finally:
            process.kill()
    assert started is not None
    assert before - 60 < started <= time.time()
