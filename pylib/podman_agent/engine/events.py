"""What podman prints while it works, as events."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from podman_agent.explain.verdict import plain

Kind = Literal["step", "layer", "log", "retry", "done"]


@dataclass(frozen=True)
class Event:
    """Something happened.

    Attributes:
        kind: `step` of a build, `layer` of a copy, `log` for any other line, `retry` before a
            wait, `done` at the end of an image.
        what: The image or target it belongs to.
        text: The line, without secrets.
        step: Number of the build step, from 1.
        steps: How many steps the stage has.
        state: Of a layer: `copying`, `done` or `skipped`.
        layer: The first 12 digits of its digest.
        current: Bytes so far.
        total: Bytes in all; 0 if unknown.
    """

    kind: Kind
    what: str
    text: str
    step: int = 0
    steps: int = 0
    state: str = ""
    layer: str = ""
    current: int = 0
    total: int = 0


Listener = Callable[[Event], None]

_STEP = re.compile(r"(?:\[[\w/.-]+\] )*STEP (\d+)/(\d+): ")
_LAYER = re.compile(
    r"Copying (?:blob|config) (?:sha256:)?([0-9a-f]{10,12})[0-9a-f]*"
    r"(?: (skipped: already exists|done)|.*?([\d.]+) ?(\w+) / ([\d.]+) ?(\w+))?"
)
_UNITS = {"b": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def parse(line: str, what: str) -> Event:
    """Read one line of podman's output.

    Args:
        line: With or without the control characters of its progress bars.
        what: The image or target it belongs to.
    """
    text = plain(line)
    if match := _STEP.match(text):
        return Event("step", what, text, step=int(match[1]), steps=int(match[2]))
    if match := _LAYER.match(text):
        layer, state, current, unit, total, of = match.groups()
        word = "copying" if state is None else state.partition(":")[0]
        done, size = _bytes(current, unit), _bytes(total, of)
        return Event("layer", what, text, state=word, layer=layer, current=done, total=size)
    return Event("log", what, text)


def _bytes(number: str | None, unit: str | None) -> int:
    return int(float(number) * _UNITS.get(unit or "", 0)) if number else 0
