"""The files that Jenkins archives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from podman_agent.builds import reports
from podman_agent.builds.run import Outcome
from podman_agent.engine.results import BuildResult, Layer, PushResult
from podman_agent.errors import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

BUILT = BuildResult("sha256:1", ("r/x:1",), 1.5, 1)


PUSHED = PushResult("r.example:5000/x:1", "sha256:2", "sha256:1", (Layer("sha256:3", 7),), (), 0.5, 2)


OUTCOMES = [
    Outcome("good-one", "ok", 2, BUILT, (PUSHED,)),
    Outcome("bad", "failed", 1, error="build \x01 failed", exit_code=1),
    Outcome("late", "skipped", 0, error="it needs bad"),
    Outcome("unpushed", "failed", 1, BUILT, error="push denied", exit_code=125),
]


def test_result_files_are_what_jenkins_reads() -> None:
    rows = json.loads(reports.image_json(OUTCOMES))
    assert rows[0]["images"] == ["r.example:5000/x:1@sha256:2"]
    assert rows[0]["pushes"][0]["bytes"] == 7
    suite = ET.fromstring(reports.junit(OUTCOMES))
    assert {k: suite.get(k) for k in ("tests", "failures", "skipped")} == {
        "tests": "6", "failures": "2", "skipped": "1",
    }  # fmt: skip
    lines = reports.env_file(OUTCOMES[:1]).splitlines()
    assert lines == ["IMAGE_ID=sha256:1", "IMAGE_DIGEST=sha256:2", "IMAGE=r.example:5000/x@sha256:2"]
    assert "IMAGE_GOOD_ONE=r.example:5000/x@sha256:2" in reports.env_file(OUTCOMES).splitlines()


def test_a_result_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    reports.write(tmp_path / "deep/x", "new")
    assert (tmp_path / "deep/x").read_text() == "new"
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["x"]
    with pytest.raises(VolumeError, match="cannot write /proc/nowhere/x"):
        reports.write(type(tmp_path)("/proc/nowhere/x"), "x")
