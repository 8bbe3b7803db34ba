"""The page of error texts is made of the rules."""

from __future__ import annotations

from pathlib import Path

from podman_agent.explain import catalogue

PAGE = Path(__file__).parents[3] / "docs/reference/errors.md"


def test_the_page_in_the_documentation_is_this_one() -> None:
    """So that a search engine, and a reader, finds every text."""
    assert catalogue.page() == PAGE.read_text(), "python -m podman_agent.explain.catalogue prints it"


def test_each_text_is_told_once_and_in_lines_that_can_be_read() -> None:
    """A heading a rule."""
    page = catalogue.page()
    headings = [line for line in page.splitlines() if line.startswith("### ")]
    assert len(headings) == len(set(headings)) == len(catalogue.RULES)
    assert [line for line in page.splitlines() if len(line) > 140] == []
