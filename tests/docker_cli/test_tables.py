"""Docker command lines of public pipelines, and compose's features, on the real engine in the real agent container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from docker_cli.conftest import cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker_cli.conftest import Lab

pytestmark = pytest.mark.nested


@pytest.fixture(scope="module")
def results(lab: Callable[..., Lab]) -> Callable[[str], list[dict[str, Any]]]:
    """Each table is run once, in order, in one pod."""
    done: dict[str, list[dict[str, Any]]] = {}

    def of(table: str) -> list[dict[str, Any]]:
        if table not in done:
            done[table] = lab().run_table(table)
        return done[table]

    return of


def _parameters() -> list[Any]:
    return [
        pytest.param(
            table,
            number,
            id=f"{table.removesuffix('.toml')}-{number}-{case['source'].split('://')[-1][:60]}",
            marks=[pytest.mark.xfail(reason=case["fails"])] if "fails" in case else [],
        )
        for table in ("corpus.toml", "compose.toml")
        for number, case in enumerate(cases(table))
    ]


@pytest.mark.parametrize(("table", "number"), _parameters())
def test_the_line_does_what_docker_does(
    table: str, number: int, results: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Its exit code and its effect are those the table names."""
    result = results(table)[number]
    assert result["ok"], f"{cases(table)[number]['line']}\n{result['said']}\n{result['output']}"


def test_the_corpus_is_large_and_says_where_it_comes_from() -> None:
    """At least 120 lines, each with its source."""
    table = cases("corpus.toml")
    assert len(table) >= 120
    assert all(case["source"].strip() for case in table)
