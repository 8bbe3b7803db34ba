"""What differs from run to run in docker's output, replaced by a word: shared by the recorder and the comparison."""

from __future__ import annotations

import re

# (what, instead), in this order
MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\b127\.0\.0\.1:\d{4,5}(?=/)", "REGISTRY"),
        (r"\b[0-9a-f]{64}\b", "<id>"),
        (r"\b(?=[a-f]*\d)[0-9a-f]{12}\b", "<short>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(?:Z| ?[+-]\d\d:?\d\d)?(?: [A-Z]{3})?", "<time>"),
        (r"(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour|day|week|month|year)s?)(?= ago)", "<while>"),
        (r"(?<=Up )(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour)s?)", "<while>"),
        (r"\b\d+(?:\.\d+)? ?(?:k|K|M|G)?i?B\b", "<size>"),
        (r"\b(?:\d{1,3}\.){3}\d{1,3}\b(?!:\d)", "<ip>"),
        (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "<mac>"),
        (r"\b(?:3[2-9]|4\d|5\d|6[0-5])\d{3}\b", "<port>"),
    )
)


def masked(text: str) -> str:
    """The text without ids, times, sizes, addresses, and with columns no further apart than docker's least."""
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return "\n".join(re.sub(r" {3,}", "   ", line).rstrip() for line in text.splitlines()).rstrip("\n")
