"""A claim given back while the container goes on: its lock is free at once, and nobody else's is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.store import claims, locks
from podman_agent.store.release import release

if TYPE_CHECKING:
    from pathlib import Path


def claim(volume: Path, run: Path, key: str) -> claims.Claim:
    return claims.claim(volume, key=key, env={"HOSTNAME": run.name}, legacy=volume / "storage", run=run)


def test_the_next_pod_takes_the_store_that_was_given_back(tmp_path: Path) -> None:
    volume, run, other = tmp_path / "volume", tmp_path / "one", tmp_path / "other"
    first, beside = claim(volume, run, "k"), claim(volume, other, "k")
    try:
        assert first.graphroot != beside.graphroot
        assert release(run) == 1
        assert not locks.alive(first.alive)
        assert locks.alive(beside.alive)
        assert claim(volume, tmp_path / "next", "k").graphroot == first.graphroot
        assert release(tmp_path / "next") == 1
    finally:
        assert release(other) == 1


def test_it_may_be_said_again_and_where_nothing_is_held(tmp_path: Path) -> None:
    volume, run = tmp_path / "volume", tmp_path / "one"
    claim(volume, run, "k")
    assert release(run) == 1
    assert release(run) == 0
    assert release(tmp_path / "none") == 0


def test_what_is_no_fifo_ends_nobody(tmp_path: Path) -> None:
    """A file of that name that this very process has open."""
    path = tmp_path / "claim-k.alive"
    with path.open("w"):
        assert release(tmp_path) == 0
    (tmp_path / "claim-l.alive").symlink_to("/dev/null")
    assert release(tmp_path) == 0
