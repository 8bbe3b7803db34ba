"""Paired runs, and the rows they make."""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Samples = dict[str, list[float]]
DIGITS = 3
SETTLE_SECONDS = 5.0
QUIET_LOOKS = 5


def say(text: str) -> None:
    """One line for who watches."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def settle() -> None:
    """Wait until what came before has left the disks: a build deletes hundreds of megabytes as it ends.

    Without that, who comes after a peer that writes little (dockerd, whose rebuild copies nothing) has a quiet disk,
    and the others pay for their neighbour.
    """
    os.sync()
    end, quiet = time.monotonic() + SETTLE_SECONDS, 0
    while quiet < QUIET_LOOKS and time.monotonic() < end:
        # the ninth number: I/Os in progress (Documentation/admin-guide/iostats.rst)
        busy = any(line.split()[11] != "0" for line in Path("/proc/diskstats").read_text().splitlines())
        quiet = 0 if busy else quiet + 1
        time.sleep(0.02)


def paired(
    series: Mapping[str, Callable[[], float]],
    *,
    rounds: int,
    seconds: float,
    before: Callable[[int], None] | None = None,
    least: int = 3,
) -> Samples:
    """Run every series once a round, one after the other, so that what else the machine does hits all alike.

    Each other round goes backwards, and the disks are quiet before each sample: neighbours have nothing to pay for.

    Args:
        series: What gives one sample each, in seconds.
        rounds: How many rounds at most.
        seconds: After that many no further round is begun, once there are `least`.
        before: Called with the round's number before each round, not timed.
        least: Fewest rounds.
    """
    samples: Samples = {name: [] for name in series}
    end = time.monotonic() + seconds
    for number in range(rounds):
        if number >= min(least, rounds) and time.monotonic() > end:
            break
        if before:
            before(number)
        for name in reversed(list(series)) if number % 2 else list(series):
            settle()
            samples[name].append(series[name]())
    return samples


@dataclass(frozen=True)
class Check:
    """One figure that has a goal.

    Args:
        what: What is divided by what, or what is timed.
        value: The figure.
        limit: What it may be at most (at least, where `at_least`).
        at_least: More is better.
    """

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is met by the figure as it is shown."""
        shown = round(self.value, DIGITS)
        return shown >= self.limit if self.at_least else shown <= self.limit


def ratio(samples: Samples, ours: str, theirs: str, limit: float, *, at_least: bool = False) -> Check:
    """The median of the rounds' ratios: each round's two samples were taken one right after the other."""
    value = statistics.median(a / b for a, b in zip(samples[ours], samples[theirs], strict=True))
    return Check(f"{ours} / {theirs}", value, limit, at_least)


def spread(values: list[float]) -> dict[str, object]:
    """What is kept of a series: how many, the median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return {"n": len(values), "median": round(middle, 5), "quartiles": [round(low, 5), round(high, 5)]}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: Its key in results.json and for ``--only``.
        measure: What is measured, in words.
        samples: All samples of all series, in seconds unless `unit` says otherwise.
        checks: The figures that have goals.
        unit: Of the samples.
        note: What must be known to read it; what could not be compared and why.
    """

    name: str
    measure: str
    samples: Samples
    checks: tuple[Check, ...]
    unit: str = "s"
    note: str = ""
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))

    def to_json(self) -> dict[str, object]:
        """As results.json has it."""
        return {
            "measure": self.measure,
            "date": self.date,
            "unit": self.unit,
            "series": {name: spread(values) for name, values in self.samples.items()},
            "checks": [
                {"what": c.what, "value": round(c.value, DIGITS), "goal": f"{'≥' if c.at_least else '≤'} {c.limit:g}"}
                | {"limit": c.limit, "at_least": c.at_least, "met": c.met}
                for c in self.checks
            ],
            "met": all(c.met for c in self.checks),
            "note": self.note,
        }
