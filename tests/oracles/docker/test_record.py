"""The golden file is of these very lines."""

from __future__ import annotations

import json
from pathlib import Path

from oracles.docker.masks import masked
from oracles.docker.runner import expanded

HERE = Path(__file__).parent


def test_the_record_is_of_these_very_lines() -> None:
    """A line that was added or changed is recorded anew."""
    recorded = json.loads((HERE / "docker-28.5.2.json").read_text())
    lines = [(group, line) for group, line in expanded((HERE / "lines.txt").read_text()) if line]
    assert [(a["group"], a["line"]) for a in recorded] == [pair for pair in lines if not pair[1].startswith("+ ")]
    assert len(recorded) >= 500


def test_what_was_masked_stays_as_it_is() -> None:
    """Masking twice is masking once: the record can be compared with what is masked now."""
    for answer in json.loads((HERE / "docker-28.5.2.json").read_text()):
        assert masked(answer["stdout"]) == answer["stdout"], answer["line"]
