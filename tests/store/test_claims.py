"""Who gets which store: real locks, real holder processes, no engine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podman_agent.errors import ConfigError, VolumeError
from podman_agent.pod import ids
from podman_agent.store import clock as clock_of_node
from podman_agent.store import locks, settings
from podman_agent.store.content import Content, image_names
from podman_agent.store.layout import HOME, Store
from podman_agent.store.merge import merge
from podman_agent.store.record import State
from podman_agent.store.verify import verify
from store.conftest import holders, opened
from store.fabricate import small

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.conftest import Volume


def test_two_pods_never_share_a_store(volume: Volume) -> None:
    assert volume.pod("a").store == "default/0"
    assert volume.pod("b").store == "default/1"


def test_a_second_call_in_the_same_pod_has_the_same_store(volume: Volume) -> None:
    first = volume.pod("a")
    again = volume.pod("a")
    assert (again.graphroot, again.store) == (first.graphroot, first.store)
    assert len(holders(volume.root)) == 1


def test_the_claim_dies_with_the_holder(volume: Volume) -> None:
    ours = volume.pod("a")
    assert locks.alive(ours.alive)
    volume.kill(ours)
    assert not locks.alive(ours.alive)
    assert volume.pod("b").store == ours.store


def test_a_pod_whose_holder_was_killed_gets_its_store_back(volume: Volume) -> None:
    ours = volume.pod("a")
    volume.kill(ours)
    assert volume.pod("a").store == ours.store
    sessions = set()
    for pid in holders(volume.root):
        with contextlib.suppress(ProcessLookupError):  # the child that deletes for the holder
            sessions.add(os.getsid(pid))
    assert len(sessions) == 1


def test_a_holder_that_opens_and_closes_files_is_still_seen(volume: Volume) -> None:
    """As `sleep` does while it loads its libraries: the claim returns at its exec."""
    lock = volume.root / "0/lock"
    lock.parent.mkdir()
    script = "import os, sys; lock = open(sys.argv[1], 'w'); print(flush=True)\nwhile True: os.close(os.open('/', 0))"
    with subprocess.Popen([sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            assert [holders(volume.root) for _ in range(50)] == [[process.pid]] * 50
        finally:
            process.kill()


def test_a_pod_whose_store_was_taken_meanwhile_gets_another(volume: Volume) -> None:
    ours = volume.pod("a")
    volume.kill(ours)
    volume.pod("b")
    assert volume.pod("a").store == "default/1"


def test_the_holder_keeps_nothing_of_its_caller(volume: Volume) -> None:
    """Neither pipes, nor the session, nor the environment by which Jenkins finds what to end."""
    script = (
        "import os; from pathlib import Path; from podman_agent.store import claim; v = Path(os.environ['V']);"
        "claim(v, key=None, env={}, legacy=v / 'storage', run=v.parent / 'run')"
    )
    env = {**os.environ, "V": str(volume.root), "JENKINS_NODE_COOKIE": "secret", "PYTHONPATH": ":".join(sys.path)}
    started = time.monotonic()
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, timeout=60, check=True, pass_fds=[write]
    )
    os.close(write)
    assert os.read(read, 1) == b"", "the pipe is closed although the holder lives"
    assert time.monotonic() - started < 30
    assert done.stdout == b""
    [pid] = holders(volume.root)
    process = Path(f"/proc/{pid}")
    assert b"JENKINS" not in (process / "environ").read_bytes()
    expected = ["/dev/null"] * 3 + [
        str(volume.path / "run/claim-default.alive"),
        f"{volume.root}/{HOME}/default/0/lock",
    ]
    deadline = time.monotonic() + 60  # it may still be loading its libraries
    while sorted(opened(process)) != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(opened(process)) == expected
    assert os.getsid(pid) != os.getsid(0)
    assert (process / "cwd").readlink() == Path("/")


def test_terminate_hangup_and_interrupt_do_not_end_the_holder(volume: Volume) -> None:
    ours = volume.pod("a")
    [pid] = holders(volume.root)
    for number in (15, 1, 2, 3):
        os.kill(pid, number)
    assert locks.alive(ours.alive)


def test_the_warmest_free_store_is_taken(volume: Volume, clock: Callable[[float], None]) -> None:
    for moment, name in ((1000.0, "a"), (3000.0, "b"), (2000.0, "c")):
        clock(moment)
        volume.pod(name)
    for name in ("a", "b", "c"):
        volume.kill(volume.pod(name))
    assert volume.pod("d").store == "default/1"


def test_a_job_returns_to_the_store_it_used_last(volume: Volume, clock: Callable[[float], None]) -> None:
    clock(1000.0)
    ours = volume.pod("a", JOB_NAME="team/app")
    clock(2000.0)
    other = volume.pod("b", JOB_NAME="team/web")
    volume.kill(ours)
    volume.kill(other)
    assert volume.pod("c", JOB_NAME="team/app").store == ours.store


def test_a_store_with_the_images_of_the_job_is_preferred(volume: Volume) -> None:
    first = volume.pod("a")
    first.graphroot.rmdir()
    small(first.graphroot)
    second = volume.pod("b", JOB_NAME="x")
    for c in Content.all(second.graphroot):
        c.images.clear()
        c.save_images()
    volume.kill(first)
    volume.kill(second)
    assert volume.pod("c", JOB_NAME="x").store == second.store
    volume.kill(second)
    assert volume.pod("d", JOB_NAME="x", PODMAN_AGENT_CACHE_IMAGES="base").store == first.store


def test_a_new_store_starts_with_the_images_of_its_sibling_at_no_cost(volume: Volume) -> None:
    first = volume.pod("a")
    first.graphroot.rmdir()
    small(first.graphroot)
    second = volume.pod("b")
    assert image_names(second.graphroot) == {"docker.io/library/base:latest", "localhost/app:latest"}
    assert "2 images by hard links" in second.note
    assert not verify(second.graphroot).damage
    [big] = second.graphroot.glob("overlay/*/diff/big")
    assert big.stat().st_nlink == 2


def test_a_sealed_image_of_another_flavour_does_not_reach_a_store(volume: Volume) -> None:
    small(volume.root / HOME / "default/sealed/1/storage")
    (volume.root / HOME / "default/sealed/1/flavour").write_text("userns")
    assert image_names(volume.pod("a").graphroot) == set()


def test_a_sealed_image_reaches_a_store_that_exists_already(volume: Volume) -> None:
    ours = volume.pod("a")
    (ours.graphroot / "overlay-images").mkdir()
    (ours.graphroot / "overlay-images/images.json").write_text("[]")
    volume.kill(ours)
    small(volume.root / HOME / "default/sealed/1/storage")
    again = volume.pod("b")
    assert again.store == ours.store
    assert len(image_names(again.graphroot)) == 2
    assert again.note.endswith("2 base images by hard links")


def test_what_the_source_loses_while_it_is_linked_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fabric = small(tmp_path / "source")
    whole = merge.__globals__["_Merger"]._commit

    def lose_first(merger: object) -> int:
        fabric.layers[1]["flags"] = {"incomplete": True}  # containers-storage marks before it deletes
        fabric.save()
        return int(whole(merger))

    monkeypatch.setattr(merge.__globals__["_Merger"], "_commit", lose_first)
    merge(tmp_path / "source", tmp_path / "target", tmp_path / "aside")
    assert image_names(tmp_path / "target") == {"docker.io/library/base:latest"}
    assert not verify(tmp_path / "target").damage


def test_beyond_the_limit_a_pod_waits_says_so_and_gets_the_store_that_is_freed(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = volume.pod("a")
    monkeypatch.setattr(time, "sleep", lambda _: volume.kill(ours))
    waited = volume.pod("b", PODMAN_AGENT_CACHE_STORES="1", PODMAN_AGENT_CACHE_WAIT="600")
    assert waited.store == ours.store
    assert "waiting up to 600 s" in capsys.readouterr().err


def test_beyond_the_limit_and_without_waiting_a_pod_has_a_store_that_gc_removes(volume: Volume) -> None:
    volume.pod("a")
    extra = volume.pod("b", PODMAN_AGENT_CACHE_STORES="1")
    assert extra.store == "default/1"
    assert "the next gc removes" in extra.message


def test_keys_split_the_cache(volume: Volume) -> None:
    assert volume.pod("a", key="team-a").store == "team-a/0"
    assert volume.pod("b", key="team-b").store == "team-b/0"


@pytest.mark.parametrize("key", ["../x", "a/b", ".", "..", "-x", "a" * 64, "a b", "ä"])
def test_a_key_cannot_leave_its_directory(volume: Volume, key: str) -> None:
    with pytest.raises(ConfigError):
        volume.pod("a", key=key)
    assert list(volume.root.iterdir()) == []


def test_a_key_that_is_a_link_elsewhere_is_refused(volume: Volume, tmp_path: Path) -> None:
    (volume.root / HOME).mkdir()
    (volume.root / HOME / "team").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="symbolic link"):
        volume.pod("a", key="team")


def test_a_plain_store_from_before_is_adopted_in_place(volume: Volume) -> None:
    small(volume.root / "storage")
    ours = volume.pod("a")
    assert (ours.store, ours.graphroot) == ("default/0", volume.root / "storage")
    assert "is now cache store default/0" in ours.message
    assert len(image_names(ours.graphroot)) == 2
    volume.kill(ours)
    assert volume.pod("b").message == ""


def test_pods_of_another_flavour_do_not_touch_a_store(volume: Volume) -> None:
    ours = volume.pod("a")
    volume.kill(ours)
    store = Store(volume.root / HOME / ours.store)
    store.save(State(flavour="rootless-1000"))
    assert volume.pod("b").store == "default/1"


def test_a_store_whose_records_are_torn_is_started_anew_and_said(volume: Volume) -> None:
    ours = volume.pod("a")
    ours.graphroot.rmdir()
    small(ours.graphroot)
    (ours.graphroot / "overlay-images/images.json").write_text("[{")
    volume.kill(ours)
    assert "started anew" in volume.pod("b").message


def test_a_torn_state_is_no_obstacle(volume: Volume) -> None:
    ours = volume.pod("a")
    volume.kill(ours)
    (volume.root / HOME / ours.store / "state.json").write_text('{"owner": ')
    assert volume.pod("b").store == ours.store


def test_a_volume_that_cannot_be_written_is_refused_in_one_line(volume: Volume) -> None:
    (volume.root / HOME).write_text("a file where the directory should be")
    with pytest.raises(VolumeError, match=r"cannot claim a store on the cache volume .*: Not a directory; .* free"):
        volume.pod("a")


@pytest.mark.parametrize("value", ["0", "-1", "many", "²"])
def test_a_limit_that_makes_no_sense_is_refused(volume: Volume, value: str) -> None:
    with pytest.raises(ConfigError, match="PODMAN_AGENT_CACHE_STORES"):
        volume.pod("a", PODMAN_AGENT_CACHE_STORES=value)


DIGEST = "sha256:" + "0" * 64


def test_names_are_compared_as_podman_stores_them() -> None:
    full = [settings.full_name(n) for n in ("busybox", "team/app:1", "r.example.com/x", f"localhost:5000/y@{DIGEST}")]
    assert full[:2] == ["docker.io/library/busybox:latest", "docker.io/team/app:1"]
    assert full[2:] == ["r.example.com/x:latest", f"localhost:5000/y@{DIGEST}"]
    with pytest.raises(ConfigError, match="PODMAN_AGENT_CACHE_IMAGES: 'UP' is not a valid image name"):
        settings.full_name("UP")


STATUS = "Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{caps}\nNoNewPrivs:\t{nnp}\n"
WHOLE, PART = "0 0 4294967295", "0 100000 65536"
REFUSED = "unshare: Operation not permitted"


@pytest.mark.parametrize(
    ("uid", "caps", "uid_map", "nnp", "refused", "expected"),
    [
        (0, "000001ffffffffff", WHOLE, 0, "", "root"),
        (0, "000001ffffffffff", PART, 0, "", "userns"),
        (0, "00000000a80425fb", WHOLE, 0, "", "rootless-0"),
        (0, "00000000a80425fb", WHOLE, 0, REFUSED, "bare-0"),
        (0, "00000000a80425fb", PART, 0, "", "single-0"),
        (0, "0000000000000000", WHOLE, 0, "", "single-0"),
        (1000, "0000000000000000", WHOLE, 0, "", "rootless-1000"),
        (1000, "0000000000000000", WHOLE, 1, "", "single-1000"),
        (4711, "0000000000000000", WHOLE, 0, "", "single-4711"),
    ],
)
def test_flavour_separates_what_cannot_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, uid: int, caps: str, uid_map: str, nnp: int, refused: str,
    expected: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(ids, "subordinate", lambda _, uid: [(100000, 65536)] if uid == 1000 else [])
    (tmp_path / "status").write_text(STATUS.format(uid=uid, caps=caps, nnp=nnp))
    (tmp_path / "uid_map").write_text(uid_map)
    assert settings.flavour(tmp_path, user_namespace=lambda: refused) == expected
    assert settings.flavour(tmp_path, user_namespace=lambda: refused, driver="vfs") == f"{expected}-vfs"


MOUNTINFO = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:50 / {point} rw,relatime shared:2 - {type} server:/export rw,vers=4.2{options}
"""


@pytest.mark.parametrize(
    ("fstype", "options", "believed"),
    [
        ("ext4", "", True),
        ("nfs4", ",local_lock=none", True),
        ("nfs", ",nolock", False),
        ("nfs", ",local_lock=flock", False),
        ("ceph", "", True),
        ("cifs", ",nobrl", False),
        ("virtiofs", "", False),
        ("9p", "", False),
        ("fuse.sshfs", "", False),
    ],
)
def test_locks_are_believed_by_the_file_system_they_are_on_recorded_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fstype: str, options: str, believed: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTINFO.format(point=tmp_path, type=fstype, options=options))
    real = locks.mount_of
    monkeypatch.setattr(locks, "mount_of", lambda path: real(path, mounts))
    assert (locks.distrust(tmp_path) == "") is believed
    assert locks.distrust(tmp_path, "trust") == "", "this node's kernel does honour them"
    assert locks.distrust(tmp_path, "never") != ""


def test_where_locks_prove_nothing_each_pod_has_a_store_of_its_own_name(volume: Volume) -> None:
    first = volume.pod("agent-1", PODMAN_AGENT_CACHE_LOCKS="never")
    second = volume.pod("agent-2", PODMAN_AGENT_CACHE_LOCKS="never")
    assert (first.store, second.store) == ("default/pod-agent-1", "default/pod-agent-2")
    assert "cannot be shared (PODMAN_AGENT_CACHE_LOCKS=never)" in first.message
    assert not Store(volume.root / HOME / first.store).state.locks
    assert volume.pod("agent-3").store == "default/0", "a named store is never taken by another pod"


def test_a_new_store_is_warmed_only_from_one_that_was_checked_since_the_node_started(volume: Volume) -> None:
    """After a crash of the node the first pod reads its store again, while the second finds it locked and makes one."""
    first = volume.pod("a")
    small(first.graphroot)
    store = Store(volume.root / HOME / first.store)
    state = store.state
    state.boot = "of before the crash"  # as it is until the sweep has ended
    store.save(state)
    second = volume.pod("b")
    assert image_names(second.graphroot) == set()
    state.boot = clock_of_node.boot_id()
    store.save(state)
    third = volume.pod("c")
    assert image_names(third.graphroot) == image_names(first.graphroot) != set()


FULL = """
import subprocess, sys
from pathlib import Path
from podman_agent.errors import VolumeError
from podman_agent.store import claim, layout, locks
volume, run = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=2", "none", run], check=True)
(run / "taken").touch()
for _ in range(3):
    try:
        claim(volume, key=None, env={"HOSTNAME": "a"}, legacy=volume / "storage", run=run)
    except VolumeError as error:
        print(error)
print([locks.try_lock(store) is not None for store in layout.all_stores(volume)], len(list(run.iterdir())))
"""


def test_a_claim_that_cannot_be_recorded_holds_nothing(tmp_path: Path) -> None:
    """Three claims on a full run directory once left three holders, and three locked stores that nobody knew of."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", sys.executable, "-c", FULL, tmp_path / "volume", tmp_path / "run"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "pylib")},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    *errors, last = done.stdout.splitlines()
    assert len(errors) == 3
    assert all(f"in {tmp_path / 'run'}: No space left on device" in error for error in errors)
    assert last == "[True] 1", "one store, free, and nothing beside what filled the directory"


def test_a_claim_whose_record_was_removed_is_found_again(volume: Volume) -> None:
    """`rm -rf /run/*` in a step: the next call had another store, without the images of the one before."""
    first = volume.pod("a")
    shutil.rmtree(volume.path / "run-a")
    again = volume.pod("a")
    assert (again.store, again.graphroot) == (first.store, first.graphroot)
    assert volume.pod("a").store == first.store, "from the new record"
    volume.kill(first)
    assert not locks.alive(again.alive)
    assert volume.pod("a").store == first.store, "claimed anew"
