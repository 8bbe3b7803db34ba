"""The benchmarks run: one measure for real, small, and what is made of figures. Whether they are good is not asked."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import outer
import pytest

from bench import measuring, project, report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.nested
def test_a_measure_in_a_real_pod_gives_samples_medians_and_a_verdict(agent_image: str, tmp_path: Path) -> None:
    """`--quick` builds on 10 and 25 layers in a pod of the agent image."""
    assert agent_image
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "--quick", "--only", "growth-layers", "--results", str(results)]
    done = subprocess.run(
        command, cwd=outer.ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    row = json.loads(results.read_text())["rows"]["growth-layers"]
    assert set(row["series"]) == {"10 layers", "25 layers"}
    assert all(series["median"] > 0 for series in row["series"].values())
    assert row["checks"][0]["what"] == "25 layers / 10 layers"
    assert outer.podman("ps", "-aq", "--filter", f"name={outer.NAME}-bench-").stdout == ""


def test_rounds_are_interleaved_and_end_in_time() -> None:
    """A B B A, so that neither always follows the other; when the time is over no further round begins."""
    order: list[str] = []

    def sample(name: str) -> float:
        order.append(name)
        return 1.0

    samples = measuring.paired({n: functools.partial(sample, n) for n in "AB"}, rounds=9, seconds=0, least=2)
    assert order == ["A", "B", "B", "A"]
    assert samples == {"A": [1.0, 1.0], "B": [1.0, 1.0]}


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """One slow moment of the machine hits both of a round."""
    samples = {"ours": [1.0, 30.0, 1.2], "theirs": [2.0, 60.0, 1.0]}
    check = measuring.ratio(samples, "ours", "theirs", 0.8)
    assert check.value == 0.5
    assert check.met
    assert not measuring.ratio(samples, "theirs", "ours", 0.8).met
    assert measuring.ratio(samples, "theirs", "ours", 0.95, at_least=True).met


def test_the_project_is_the_same_every_time(tmp_path: Path) -> None:
    """Figures of two days are of one project; it has 40 steps."""
    for name in ("one", "two"):
        project.write(tmp_path / name, megabytes=8, files=50)
    assert subprocess.run(["diff", "-r", tmp_path / "one", tmp_path / "two"], check=False).returncode == 0
    assert len((tmp_path / "one/Dockerfile").read_text().splitlines()) == project.STEPS


def test_the_chart_is_xml_with_a_bar_for_every_figure() -> None:
    """Titles hold `<`, `&` and quotes sooner or later."""
    row = measuring.Row(
        "x", "a <b> & c", {"ours": [1.0], "theirs": [2.0]}, (measuring.Check("ours / theirs", 0.5, 0.8),)
    )
    chart = report.chart({"rows": {"x": row.to_json()}})
    bars = [e for e in ET.fromstring(chart).iter() if e.tag.endswith("rect") and e.get("width") != "100%"]
    assert [bar.get("width") for bar in bars] == ["125.0"]
