"""The README is true: its commands, its pipeline, its variables and its exit codes are the project's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import demo
import pytest
from podman_agent import errors
from podman_agent.pod.variables import TABLE

from bench import report

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_make_target_it_names_is_there() -> None:
    """`make demo` and `make test` themselves are run by CI."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"sure"}
    assert {"demo", "test"} <= named <= targets


def test_every_variable_it_names_exists_and_every_variable_is_named() -> None:
    """A variable nobody can read about is none."""
    named = {name.rstrip("_") for name in re.findall(r"PODMAN_AGENT_([A-Z_]+)", README)}
    assert named == {variable.name for variable in TABLE}


def test_the_values_it_gives_are_the_ones_that_are_accepted() -> None:
    """`PODMAN_AGENT_X` = a, b."""
    for name, values in re.findall(r"`PODMAN_AGENT_([A-Z_]+)` = ([a-z0-9, -]+?) \|", README):
        assert tuple(values.split(", ")) == next(variable.values for variable in TABLE if variable.name == name)


def test_its_exit_codes_are_those_of_the_errors() -> None:
    """Generated from them where this table has moved to."""
    assert "".join(f"| {code} | {meaning} |\n" for code, meaning in errors.exit_codes()) in README


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)", README))
def test_every_link_into_the_repository_leads_somewhere(link: str) -> None:
    """Files move."""
    assert (ROOT / link).exists()


def test_the_one_minute_pipeline_runs_the_demos_job() -> None:
    """Its sh step is, command for command, what `make demo` runs in real pods (there the Dockerfile comes by stdin)."""
    script = re.search(r"sh '''\n(.*?)'''", README, re.DOTALL)
    assert script is not None
    readme = [line.strip() for line in script[1].strip().splitlines()]
    job = [line for line in demo.JOB.strip().splitlines() if "images" not in line]
    assert readme[1:] == job[1:]
    assert readme[0].removesuffix(".") == job[0].partition(" | ")[2].removesuffix("-")


def test_its_table_of_pod_shapes_is_the_one_the_tests_wrote() -> None:
    """`tools/pod_shapes.py` writes both."""
    page = (ROOT / "docs/pod-shapes.md").read_text()
    table = README.partition("<!-- pod shapes -->\n")[2].partition("<!-- end of pod shapes -->")[0]
    assert table.count("\n") > 15
    assert page.endswith(table)


def test_its_table_of_figures_is_made_of_the_results() -> None:
    """`make bench` writes all three."""
    results = json.loads((ROOT / "bench/results.json").read_text())
    table = README.partition(report.BEGIN)[2].partition(report.END)[0]
    assert table == report.table(results)
    assert table.count("\n| ") > 14
    assert (ROOT / "bench/results.svg").read_text() == report.chart(results)


def test_a_figure_is_met_exactly_when_it_is_within_its_goal() -> None:
    """No row is coloured by hand."""
    rows = json.loads((ROOT / "bench/results.json").read_text())["rows"]
    checks = [check for row in rows.values() for check in row["checks"]]
    assert checks
    for check in checks:
        within = check["value"] >= check["limit"] if check["at_least"] else check["value"] <= check["limit"]
        assert within == check["met"]
    assert all(row["met"] == all(check["met"] for check in row["checks"]) for row in rows.values())
