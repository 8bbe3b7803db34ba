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
REFERENCE = ROOT / "docs/reference"
EXIT_CODES = (REFERENCE / "exit-codes.md").read_text()
VARIABLES = (REFERENCE / "variables.md").read_text()
PERFORMANCE = (ROOT / "docs/explanation/performance.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench/README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_make_target_it_names_is_there() -> None:
    """`make demo` and `make test` themselves are run by CI."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"sure"}
    assert {"demo", "test"} <= named <= targets


def test_every_variable_it_names_exists_and_every_variable_is_named() -> None:
    """A variable nobody can read about is none."""
    named = {name.rstrip("_") for name in re.findall(r"PODMAN_AGENT_([A-Z_]+)", VARIABLES)}
    assert named == {variable.name for variable in TABLE}


def test_its_exit_codes_are_those_of_the_errors() -> None:
    """Generated from them where this table has moved to."""
    assert "".join(f"| {code} | {meaning} |\n" for code, meaning in errors.exit_codes()) in EXIT_CODES


def _anchors(page: Path) -> set[str]:
    """A heading's name in a link, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and headings move."""
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text()):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_no_line_is_longer_than_140_characters(page: Path) -> None:
    """But for tables, whose rows cannot be broken."""
    long = [line for line in page.read_text().splitlines() if len(line) > 140 and not line.startswith("|")]
    assert long == []


def test_it_has_at_most_600_words_outside_tables_and_code() -> None:
    """What a newcomer needs; the rest is in docs/."""
    text = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
    assert len(" ".join(line for line in text.splitlines() if not line.startswith("|")).split()) <= 600


def test_the_one_minute_pipeline_runs_the_demos_job() -> None:
    """Its sh step is, command for command, what `make demo` runs in real pods (there the Dockerfile comes by stdin)."""
    script = re.search(r"sh '''\n(.*?)'''", README, re.DOTALL)
    assert script is not None
    readme = [line.strip() for line in script[1].strip().splitlines()]
    job = [line for line in demo.JOB.strip().splitlines() if "images" not in line]
    assert readme[1:] == job[1:]
    assert readme[0].removesuffix(".") == job[0].partition(" | ")[2].removesuffix("-")


def test_what_works_where_is_what_the_tests_saw() -> None:
    """Each row of the README's table is one of the page that `tools/pod_shapes.py` writes."""
    page = (REFERENCE / "pod-shapes.md").read_text().splitlines()
    seen = [line.split(" | ") for line in page if line.startswith("| ") and line.count(" | ") > 6]
    words = ["| privileged, volume", "SETFCAP only, allowPrivilegeEscalation", "Localhost", "| runAsUser: 1000, volume"]
    words += ["arbitrary uid", "RuntimeDefault", "jenkins/pods/userns.yaml", "SETFCAP only, readOnlyRootFilesystem"]
    table = README.partition("## What works where")[2].splitlines()
    rows = [line.split(" | ") for line in table if line.startswith("| ")][1:]
    assert len(rows) == len(words)
    for row, word in zip(rows, words, strict=True):
        (shape,) = [cells for cells in seen if word in cells[0]]
        assert (row[1], row[2]) == (shape[1], shape[3])
        assert shape[1] == shape[2]


def test_its_table_of_figures_is_made_of_the_results() -> None:
    """`make bench` writes all three."""
    results = json.loads((ROOT / "bench/results.json").read_text())
    table = PERFORMANCE.partition(report.BEGIN)[2].partition(report.END)[0]
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
