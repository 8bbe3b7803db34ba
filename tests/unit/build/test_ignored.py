"""Ignore files: moby/patternmatcher's own tests (patternmatcher_test.go, ``**file``, ``**.txt``) say what matches."""

from __future__ import annotations

import pytest
from podman_agent.build.ignored import translated


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("**.md", "**/*.md"),
        ("!**.md\r\n# **.x\n**file", "!**/*.md\r\n# **.x\n**/*file"),
        ("**foo/bar\n", "**/*foo/bar\n"),
        *((same, same) for same in ("**", "**/x", "a/**.md", "**.m?", "***", "x**y", "", "# c\n\n*.md", "**\\a")),
    ],
)
def test_a_suffix_is_one_of_any_depth(before: str, after: str) -> None:
    assert translated(before) == after
