"""What is written for the hot path is what it reads; what is torn, or another container start's, is nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from podman_agent import planfile
from podman_agent.planfile import Hot

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def whole() -> Hot:
    odd = os.fsdecode(b"\xff=\n a")
    return Hot(
        programs={"podman": "/usr/bin/podman", "buildah": odd},
        flags=("--cgroup-manager=cgroupfs", "", odd),
        environment={"TMPDIR": odd, "EMPTY": ""},
        watched=("build", "run"),
        exec_monitor="/mine",
        home="/home/jenkins",
    )


def fields(hot: Hot) -> dict[str, object]:
    return {name: getattr(hot, name) for name in Hot.__slots__}


def test_every_field_comes_back() -> None:
    """Also bytes that are no UTF-8, empty ones, and values with an equals sign or a newline in them."""
    for hot in (whole(), Hot({})):
        read = planfile.decode(planfile.encode(hot))
        assert read is not None
        assert fields(read) == fields(hot)


def test_every_field_is_in_the_list_and_every_one_in_the_list_is_a_field() -> None:
    """A field outside the list would be lost on the way."""
    assert sorted(name for name, _ in planfile.FIELDS) == sorted(Hot.__slots__)


def test_no_part_of_a_file_is_believed() -> None:
    data = planfile.encode(whole())
    assert [n for n in range(len(data)) if planfile.decode(data[:n])] == []


def test_another_start_other_overrides_and_another_version_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = planfile.encode(whole())
    for name in ("stamp", "overrides"):
        with monkeypatch.context() as patch:
            patch.setattr(planfile, name, lambda: "another")
            assert planfile.decode(data) is None
    assert planfile.decode(data.replace(planfile.MAGIC.encode(), b"podman-agent 1")) is None


def test_a_plan_whose_store_nobody_holds_is_not_believed(tmp_path: Path) -> None:
    """A FIFO without a reader: the holder is gone, and another pod may have the store."""
    fifo = tmp_path / "holder"
    os.mkfifo(fifo)
    data = planfile.encode(Hot({}, alive=str(fifo)))
    assert planfile.decode(data) is None
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert planfile.decode(data) is not None
    os.close(reader)
