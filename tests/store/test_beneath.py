"""What root does on a volume is done below it, whatever stands there meanwhile."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest
from podman_agent.store import beneath, gc, layout, openat2
from podman_agent.store.beneath import Root
from podman_agent.store.record import State
from store import attacker
from store.fabricate import Fabric, small

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("PODMAN_AGENT_TEST_ATTACKS", "150"))


def _stores(volume: Path) -> tuple[Path, Path]:
    """A team's store with a container that runs, and the attacker's, which gives a collection much to do."""
    other = layout.new_store(layout.key_directory(volume, "other"))
    fabric = small(other.graphroot)
    fabric.container(fabric.images[0]["id"], fabric.layers[0]["id"])
    fabric.save()
    other.save(State(flavour="root", claimed=1.0))
    template = volume.parent / "template"
    mine = Fabric(template / "0/storage")
    base = mine.layer({"bin/sh": b"base", "etc/passwd": b"root"})
    mine.image("localhost/base:latest", [base])
    mine.image("", [mine.layer({"x": bytes(1000)}, base)])
    mine.container(mine.images[0]["id"], base)
    mine.save()
    for orphan in ("ab" * 32, "cd" * 32):
        (mine.root / "overlay" / orphan / "diff").mkdir(parents=True)
    for name in ("0/storage.tmp/copy-1", "0/storage.tmp/copy-2", "0/trash/old", "sealed/.new-1", "sealed/1/storage"):
        (template / name).mkdir(parents=True)
    (template / "0/lock").touch()
    (template / "0/state.json").write_text('{"flavour":"root","claimed":1}')
    return other.path, template


@pytest.mark.parametrize("kernel", ["openat2", "by component"])
def test_no_swap_between_any_two_opens_leads_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel != "openat2":
        monkeypatch.setitem(openat2._kernel, "openat2", False)
    volume, outside = tmp_path / "volume", tmp_path / "workspace"
    volume.mkdir(mode=0o755)
    (outside / "src").mkdir(parents=True)
    (outside / "src/main.c").write_text("precious")
    other, template = _stores(volume)
    key = layout.key_directory(volume, "mine")
    before = attacker.snapshot(other, outside)
    policies = (gc.Policy(age=1e12), gc.Policy(age=1e12, budget=0), gc.Policy(age=0))
    for number in range(ROUNDS if kernel == "openat2" else ROUNDS // 3):
        attacker.lay_out(template, key)
        with attacker.Attacker(key, outside, number) as attack:
            gc.collect(volume, policies[number % 3], "mine")
        said = f"{attack.name} -> {attack.target} after {attack.after} events"
        assert attacker.snapshot(other, outside) == before, said


def _swapped_at(monkeypatch: pytest.MonkeyPatch, when: int, swap: tuple[Path, str]) -> list[int]:
    """Have a directory replaced by a link before the n-th system call below the volume."""
    calls = [0]
    original = openat2.open_below

    def late(root: int, relative: str, flags: int, mode: int = 0) -> int:
        calls[0] += 1
        if calls[0] == when:
            swap[0].rename(swap[0].with_name(f"{swap[0].name}.mine"))
            swap[0].symlink_to(swap[1])
        return original(root, relative, flags, mode)

    monkeypatch.setattr(beneath, "open_below", late)
    return calls


@pytest.mark.parametrize("swap", [s for s in attacker.SWAPS if s[0] in {"0", "0/storage", "0/storage.tmp", "0/trash"}])
def test_a_swap_before_any_call_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: tuple[str, str]
) -> None:
    """As above, and certain: before each call once; the last rounds have no swap."""
    volume, outside = tmp_path / "volume", tmp_path / "workspace"
    for made in (volume, outside):
        made.mkdir()
    (outside / "main.c").write_text("precious")
    other, template = _stores(volume)
    key = layout.key_directory(volume, "mine")
    before = attacker.snapshot(other, outside)
    when, calls = 0, [1]
    while when <= calls[0]:
        when += 3
        attacker.lay_out(template, key)
        with monkeypatch.context() as patch:
            calls = _swapped_at(patch, when, (key / swap[0], swap[1].format(outside=outside)))
            gc.collect(volume, gc.Policy(age=1e12), "mine")
        assert attacker.snapshot(other, outside) == before, (swap, when)
    assert when > 30


@pytest.fixture(params=["openat2", "by component"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Root:
    if request.param != "openat2":
        monkeypatch.setitem(openat2._kernel, "openat2", False)
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/file").write_text("text")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("not ours")
    (tmp_path / "root/link").symlink_to("../elsewhere")
    return Root(tmp_path / "root")


def test_links_are_not_followed_and_nothing_leads_out(root: Root) -> None:
    assert root.read(root.path / "a/file") == b"text"
    for path in ("link/file", "a/../link/file", "../elsewhere/file"):
        with pytest.raises(OSError, match=r".") as caught:
            root.read(root.path / path)
        assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV)
    with pytest.raises(OSError, match="not below"):
        root.read("/etc/passwd")
    assert root.remove(root.path / "link") == ""
    assert (root.path.parent / "elsewhere/file").exists()


def test_only_plain_files_are_opened(root: Root) -> None:
    os.mkfifo(root.path / "fifo")
    os.mknod(root.path / "zero", 0o666 | 0o020000, os.makedev(1, 5))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(root.path / "socket"))
    for name in ("fifo", "zero", "socket", "a"):
        with pytest.raises(OSError, match="not a regular file"):
            root.read(root.path / name)


def test_what_is_larger_than_it_may_be_is_not_read(root: Root) -> None:
    with (root.path / "sparse").open("wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(OSError, match="more than"):
        root.read(root.path / "sparse", 1 << 20)


def test_a_tree_deeper_than_paths_and_descriptors_go_is_deleted(root: Root) -> None:
    here = os.open(root.path, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert sum(1 for _ in root.stats(root.path)) > 10
    assert root.remove(root.path / ("d" * 200)) == ""
    assert not (root.path / ("d" * 200)).exists()


def test_a_new_file_is_its_directorys_owners_and_a_replaced_one_keeps_owner_and_mode(root: Root) -> None:
    os.chown(root.path / "a", 1000, 1001)
    os.chown(root.path / "a/file", 1002, 1003)
    (root.path / "a/file").chmod(0o640)
    root.replace(root.path / "a/file", "new")
    root.replace(root.path / "a/other", "new")
    found = [(p.stat().st_uid, p.stat().st_gid, p.stat().st_mode & 0o777) for p in (root.path / "a").glob("[fo]*")]
    assert sorted(found) == [(1000, 1001, 0o600), (1002, 1003, 0o640)]
