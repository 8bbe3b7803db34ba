"""Events as docker tells them."""

from __future__ import annotations

import pytest
from podman_agent.docker import events
from podman_agent.docker.direct import is_direct


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1700000000", 1700000000.0),
        ("1700000000.5", 1700000000.5),
        ("1h30m", 4600.0),
        ("1.5s", 9998.5),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("2023-11-14T22:13:20.5+00:00", 1700000000.5),
        ("", None),
        ("soon", None),
        ("10x", None),
        ("m", None),
    ],
)
def test_moments_are_read_as_docker_reads_them(text: str, wanted: float | None) -> None:
    assert events.moment(text, 10000.0) == wanted


def test_only_events_with_an_end_are_translated() -> None:
    assert is_direct(["events", "--since", "1h", "--format", "json"], {})
    assert not is_direct(["events", "--until=1s"], {})
    assert not is_direct(["system", "events", "--until", "1s"], {})


@pytest.mark.parametrize(
    ("line", "marked", "wanted"),
    [
        ("1700000000500000000\x1fstart", True, (1700000000.5, "start")),
        ('{"Name":"ev","time":1700000000,"timeNano":1700000000500000000}', False, (1700000000.5, None)),
        ("2023-11-14 23:13:20.500000001 +0100 CET container start 0a (image=b)", False, (1700000000.5, None)),
        ("2023-11-14 22:13:20 +0000 UTC container start 0a", False, (1700000000.0, None)),
        ("what is this", False, (0.0, None)),
    ],
)
def test_each_form_of_an_event_tells_its_time(line: str, marked: bool, wanted: tuple[float, str | None]) -> None:
    when, row = events._when(line, marked=marked)
    assert when == pytest.approx(wanted[0])
    assert row == (wanted[1] or line)
