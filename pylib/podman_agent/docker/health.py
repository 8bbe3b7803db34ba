"""Health checks where there is no systemd, whose timers podman leaves them to.

Without it a container stays ``starting`` for ever. So whoever asks for a container's health makes the check run when it
is due: ``docker inspect`` here, and the listener of the API socket for those who ask there (compose's ``--wait`` and
``service_healthy``).
Source: https://docs.podman.io/en/latest/markdown/podman-healthcheck.1.html, and libpod/healthcheck_linux.go.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

DEFAULT_INTERVAL = 30.0  # seconds; https://docs.docker.com/reference/dockerfile/#healthcheck


def due(container: dict[str, Any], now: datetime.datetime) -> bool:
    """Whether a container's health check is to run now.

    Args:
        container: As ``podman container inspect`` gives it.
        now: An aware time.

    Returns:
        False for one that is not running or has no check; True when none has run within its interval.
    """
    check = container["Config"].get("Healthcheck") or {}
    if container["State"]["Status"] != "running" or not check.get("Test") or check["Test"][0] == "NONE":
        return False
    log = (container["State"].get("Health") or {}).get("Log") or []
    if not log:
        return True
    interval = check.get("Interval", 0) / 1e9 or DEFAULT_INTERVAL
    return (now - _time(log[-1]["End"])).total_seconds() >= interval


def _time(text: str) -> datetime.datetime:
    """RFC 3339 with nanoseconds, which Python 3.11 reads only to the microsecond."""
    head, _, tail = text.partition(".")
    digits = tail.rstrip("Z").partition("+")[0].partition("-")[0]
    return datetime.datetime.fromisoformat(head + text[len(head) + 1 + len(digits) :] if tail else text)


def systemd() -> bool:
    """Whether podman has timers of its own."""
    return Path("/run/systemd/system").exists()


def refresh(call: Call, containers: list[dict[str, Any]]) -> bool:
    """Run the checks that are due.

    Args:
        call: How podman is started.
        containers: As ``podman container inspect`` gives them.

    Returns:
        Whether one was run, so that what was inspected is out of date.
    """
    if systemd():
        return False
    now = datetime.datetime.now(datetime.UTC)
    wanted = [found["Id"] for found in containers if due(found, now)]
    for container in wanted:
        call.succeeds("healthcheck", "run", container)
    return bool(wanted)


def refresh_all(call: Call) -> None:
    """Run the checks that are due in all running containers."""
    filters = [f"--filter=health={status}" for status in ("starting", "healthy", "unhealthy")]
    names = call.read("ps", "--quiet", "--no-trunc", *filters)[1].split()
    if names:
        refresh(call, json.loads(call.read("container", "inspect", *names)[1] or "[]"))
