"""Podman's lines as events."""

from __future__ import annotations

from typing import Any

import pytest
from podman_agent.engine import events


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("STEP 2/3: RUN x", {"kind": "step", "step": 2, "steps": 3}),
        ("[1/2] STEP 1/4: FROM x", {"kind": "step", "step": 1, "steps": 4}),
        ("[linux/arm64] [1/2] STEP 1/4: FROM x", {"kind": "step", "step": 1, "steps": 4}),
        ("Copying blob 56b8b3b8b674 skipped: already exists  ",
         {"kind": "layer", "layer": "56b8b3b8b674", "state": "skipped"}),
        ("\x1b[3A\x1b[JCopying blob c0606caabed8 done   | \r",
         {"kind": "layer", "layer": "c0606caabed8", "state": "done"}),
        ("Copying blob c0606caabed8 [====>---] 18.0MiB / 47.5MiB | 1.2 GiB/s",
         {"kind": "layer", "state": "copying", "current": 18 * 2**20, "total": 49807360}),
        ("Copying config a624a88ca3 done   | ", {"kind": "layer", "layer": "a624a88ca3", "state": "done"}),
        ("Copying blob sha256:c0606caabed8aaf28f58b47b26187b2fd74fa3374210ad49bd4ab220e4979631",
         {"kind": "layer", "layer": "c0606caabed8", "state": "copying", "total": 0}),
        ("hello", {"kind": "log", "text": "hello"}),
    ],
)  # fmt: skip
def test_podmans_lines_become_events(line: str, expected: Any) -> None:
    event = events.parse(line, "x")
    assert {k: getattr(event, k) for k in expected} == expected
