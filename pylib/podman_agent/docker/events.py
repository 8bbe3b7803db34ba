"""``docker events --until`` a moment that has passed: what happened, and no waiting.

Podman follows its file of events until then, so for a moment in the past it stops before or after it has read the file,
as the race goes (`EventLogFile.Read`, https://github.com/containers/podman/blob/v5.4.2/libpod/events/logfile.go).
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

SPEC = Spec(words("filter format since until"), words("no-trunc stream"), letters("f=filter"))
_MARK = "\x1f"
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
# what `podman events` prints unasked: 2026-11-25 13:41:07.123456789 +0000 UTC container start …
_HUMAN = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)\d* ([+-]\d{4}) ")


def moment(text: str, now: float) -> float | None:
    """A point in time as docker takes it; None when it is none.

    Source: https://docs.docker.com/reference/cli/docker/system/events/#since

    Args:
        text: Seconds since 1970, an RFC 3339 time or date, or a duration of Go's before `now`.
        now: Seconds since 1970.
    """
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now - sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def run(call: Call, verb: str, args: list[str]) -> int:
    """Print what podman's file of events has up to a moment in the past; else become podman.

    Args:
        call: The docker call.
        verb: ``events``.
        args: What follows it.

    Returns:
        Podman's exit code.
    """
    parsed, now = parse(args, SPEC), time.time()
    until = moment(parsed.get("until") or "", now)
    if until is None or until > now or parsed.operands:
        call.become(verb, *args)
    form = parsed.get("format")
    marked = form is not None and not form.startswith("json") and "json ." not in form
    options = [token for option in parsed.without("until", "format", "stream") for token in option.tokens()]
    if form is not None:
        options.append(f"--format={{{{.TimeNano}}}}{_MARK}{form}" if marked else f"--format={form}")
    code, text = call.read(verb, "--stream=false", *options)
    for line in text.splitlines():
        when, row = _when(line, marked=marked)
        if when <= until:
            sys.stdout.write(row + "\n")
    return code


def _when(line: str, *, marked: bool) -> tuple[float, str]:
    """When the event of a line was, and the line as the user is to see it; what tells no time counts as long ago."""
    if marked:
        nanoseconds, mark, row = line.partition(_MARK)
        return (int(nanoseconds) / 1e9, row) if mark and nanoseconds.isdigit() else (0.0, line)
    if line.startswith("{"):
        row = json.loads(line)
        return float(row.get("timeNano", 0)) / 1e9 or float(row.get("time", 0)), line
    found = _HUMAN.match(line)
    if not found:
        return 0.0, line
    text = found[1] if "." in found[1] else f"{found[1]}.0"
    return datetime.strptime(f"{text} {found[2]}", "%Y-%m-%d %H:%M:%S.%f %z").timestamp(), line
