"""How the reasons of a plan are printed, for `plan` and `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def lines(reasons: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Two lines a choice: its value and why, and below it where the rule comes from.

    Args:
        reasons: The ``reasons`` of plan.json.
    """
    rows = list(reasons)
    width = max(len(row["choice"]) for row in rows)
    for row in rows:
        mark = " (forced)" if row["forced"] else ""
        yield f"{row['choice']:<{width}}  {row['value']}{mark}: {row['why']}"
        yield f"{'':<{width}}  {row['source']}"
