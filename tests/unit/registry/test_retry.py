"""Retries happen for what passes by itself, and nothing here ever sleeps."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from podman_agent.errors import ConfigError, EngineError, TransientError
from podman_agent.registry import retry
from podman_agent.registry.retry import Policy, RetryableError


def _unheard(_said: str) -> None:
    """Nobody listens."""


def failing(times: Any, error: Any = None) -> Any:
    left = [error or RetryableError("503 Service Unavailable")] * times
    return lambda: (_ for _ in ()).throw(left.pop()) if left else "done"


def test_the_attempts_are_counted_and_each_failure_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with retry.testing() as waits, caplog.at_level(logging.WARNING):
        assert retry.call(failing(2), "push x", Policy()) == ("done", 3)
    assert len(waits) == 2
    assert [r.message.split("; next in")[0] for r in caplog.records] == [
        "push x: attempt 1 of 5 failed: 503 Service Unavailable",
        "push x: attempt 2 of 5 failed: 503 Service Unavailable",
    ]


def test_waits_grow_are_jittered_and_bounded() -> None:
    runs = []
    for _ in range(20):
        with retry.testing() as waits, pytest.raises(TransientError):
            retry.call(failing(99), "x", Policy(attempts=9, first_wait=1, max_wait=20), _unheard)
        runs.append(waits)
    assert all(w <= min(20, 2**i) for waits in runs for i, w in enumerate(waits))
    assert len({tuple(w) for w in runs}) == 20
    assert max(w[5] for w in runs) > 4


def test_retry_after_is_honoured_up_to_the_bound() -> None:
    with retry.testing() as waits:
        retry.call(failing(1, RetryableError("429", retry_after=17)), "x", Policy(), _unheard)
        retry.call(failing(1, RetryableError("429", retry_after=999)), "x", Policy(), _unheard)
    assert waits == [17, 60]


def test_no_attempt_starts_after_the_deadline() -> None:
    policy = Policy(attempts=1000, max_wait=50, deadline=120)
    with retry.testing() as waits, pytest.raises(TransientError, match=r"3 attempts in 100 s: 429"):
        retry.call(failing(99, RetryableError("429", retry_after=50)), "pull x", policy, _unheard)
    assert waits == [50, 50]


def test_other_errors_pass_through_at_once() -> None:
    with retry.testing() as waits, pytest.raises(EngineError):
        retry.call(failing(1, EngineError("denied")), "x", Policy())
    assert waits == []


def test_giving_up_names_what_was_tried_and_the_last_cause() -> None:
    error = RetryableError("unexpected EOF", why="copying blob: unexpected EOF")
    with retry.testing(), pytest.raises(TransientError) as caught:
        retry.call(failing(9, error), "push x", Policy(attempts=2, max_wait=0), _unheard)
    assert str(caught.value) == "push x failed after 2 attempts in 0 s: copying blob: unexpected EOF"
    assert caught.value.exit_code == 75


def test_the_policy_comes_from_the_environment() -> None:
    env = {"PODMAN_AGENT_RETRY_ATTEMPTS": "2", "PODMAN_AGENT_RETRY_MAX_WAIT": "0"}
    assert Policy.from_env(env) == Policy(attempts=2, max_wait=0)
    for bad in ({"PODMAN_AGENT_RETRY_ATTEMPTS": "x"}, {"PODMAN_AGENT_RETRY_ATTEMPTS": "0"}):
        with pytest.raises(ConfigError, match="PODMAN_AGENT_RETRY_ATTEMPTS"):
            Policy.from_env(bad)
