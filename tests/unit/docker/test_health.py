"""When health checks run."""

from __future__ import annotations

import datetime

import pytest
from podman_agent.docker import health


@pytest.mark.parametrize(
    ("log", "seconds", "wanted"),
    [
        ([], 0, True),
        ([{"End": "2026-11-23T10:00:00.123456789Z"}], 2, True),
        ([{"End": "2026-11-23T10:00:00.123456789+00:00"}], 0.5, False),
        ([{"End": "2026-11-23T11:00:00.1+01:00"}], 0.5, False),
    ],
)
def test_a_health_check_runs_when_its_interval_has_passed(
    log: list[dict[str, str]], seconds: float, wanted: bool
) -> None:
    now = datetime.datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    found = {
        "Config": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000}},
        "State": {"Status": "running", "Health": {"Log": log}},
    }
    assert health.due(found, now) is wanted


def test_no_health_check_runs_in_a_stopped_container_or_without_one() -> None:
    now = datetime.datetime.now(datetime.UTC)
    check = {"Healthcheck": {"Test": ["CMD", "true"]}}
    assert not health.due({"Config": check, "State": {"Status": "exited"}}, now)
    assert not health.due({"Config": {}, "State": {"Status": "running"}}, now)
    assert not health.due({"Config": {"Healthcheck": {"Test": ["NONE"]}}, "State": {"Status": "running"}}, now)
