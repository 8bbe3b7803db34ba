"""How often and how long something is tried again; whether it is worth it, `podman_agent.explain.verdict` says.

Podman's own retry (https://docs.podman.io/en/latest/markdown/podman-push.1.html#retry-attempts) is
switched off wherever this module is in charge, so that the two do not multiply. It would not do
alone: it gives up on 500, on 429 during an upload, on `unexpected EOF` and, before 5.5, on 502-504.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from podman_agent.errors import TransientError
from podman_agent.pod import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger("podman_agent.registry.retry")
T = TypeVar("T")


class RetryableError(Exception):
    """An attempt failed in a way that may pass.

    Args:
        cause: A few words for the log line.
        retry_after: Seconds the server asked to wait, if it did.
        why: The longer text for the final error; the cause when empty.
    """

    def __init__(self, cause: str, *, retry_after: float | None = None, why: str = "") -> None:
        super().__init__(cause)
        self.cause, self.retry_after, self.why = cause, retry_after, why or cause


@dataclass(frozen=True)
class Policy:
    """How often and how long.

    Attributes:
        attempts: Tries in all, at least 1.
        first_wait: Upper bound of the first wait, in seconds; it doubles each time, and a random
            part of it is waited ("full jitter",
            https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
        max_wait: Upper bound of any wait, in seconds; 0 waits never.
        deadline: No attempt starts later than this many seconds after the first.
        attempt_timeout: Seconds one attempt may take before it is ended and counts as failed.
    """

    attempts: int = variables.RETRY_ATTEMPTS.default
    first_wait: float = 1.0
    max_wait: float = variables.RETRY_MAX_WAIT.default
    deadline: float = variables.RETRY_DEADLINE.default
    attempt_timeout: float = variables.RETRY_TIMEOUT.default

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Policy:
        """Read `PODMAN_AGENT_RETRY_ATTEMPTS`, `_MAX_WAIT`, `_DEADLINE` and `_TIMEOUT`.

        Raises:
            ConfigError: If one of them is no number, or attempts is below 1.
        """
        env = os.environ if env is None else env
        return cls(
            attempts=variables.RETRY_ATTEMPTS.value(env),
            max_wait=variables.RETRY_MAX_WAIT.value(env),
            deadline=variables.RETRY_DEADLINE.value(env),
            attempt_timeout=variables.RETRY_TIMEOUT.value(env),
        )


@dataclass
class Clock:
    """The time source and the only place that sleeps."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


_clock = Clock()


def clock() -> Clock:
    """Give the clock in force, for other waiting loops (`registry.Registry.wait`)."""
    return _clock


@contextlib.contextmanager
def testing() -> Iterator[list[float]]:
    """Replace the clock by one that jumps: nothing sleeps inside the `with` block.

    Yields:
        The waits that would have been slept, in seconds, as they come.
    """
    global _clock  # noqa: PLW0603 - one switch for the whole process is the point
    waits: list[float] = []
    saved = _clock
    _clock = Clock(now=lambda: sum(waits), sleep=waits.append)
    try:
        yield waits
    finally:
        _clock = saved


class Tries:
    """Counts the attempts of one thing, and says how long to wait for the next.

    Args:
        what: What is done, for the log and the error: ``push example.com/x:1``.
        policy: How often and how long.
    """

    def __init__(self, what: str, policy: Policy) -> None:
        self.what, self.policy, self.count = what, policy, 1
        self._start = clock().now()

    def pause(self, asked: float | None = None) -> float | None:
        """Give the seconds to wait before another attempt, which is counted; None when it is enough.

        Args:
            asked: Seconds the server wants us to wait.
        """
        policy = self.policy
        jitter = random.uniform(0, min(policy.max_wait, policy.first_wait * 2 ** (self.count - 1)))  # noqa: S311
        # A server's word counts over our jitter but never past the bound the caller set.
        seconds = min(policy.max_wait, max(asked or 0.0, jitter))
        if self.count >= policy.attempts or clock().now() - self._start + seconds > policy.deadline:
            return None
        self.count += 1
        return seconds

    def line(self, cause: object, seconds: float) -> str:
        """Say that the attempt before failed, and when the next is."""
        return (
            f"{self.what}: attempt {self.count - 1} of {self.policy.attempts} failed: {cause}; next in {seconds:.1f} s"
        )

    def over(self, why: str) -> TransientError:
        """Give the error of having tried often enough."""
        tries = f"{self.count} attempt" + ("s" if self.count > 1 else "")
        return TransientError(f"{self.what} failed after {tries} in {clock().now() - self._start:.0f} s", why)


def call(
    attempt: Callable[[], T],
    what: str,
    policy: Policy | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> tuple[T, int]:
    """Call until it works, retrying `RetryableError` only.

    Args:
        attempt: Does the work once.
        what: What it does, for the log and the error: ``push example.com/x:1``.
        policy: `Policy.from_env()` when None.
        on_retry: Gets each log line; by default it goes to the logger `podman_agent.registry.retry`.

    Returns:
        The result and the number of attempts it took.

    Raises:
        TransientError: When attempts or time are used up; the cause of the last attempt is in it.
    """
    tries = Tries(what, policy or Policy.from_env())
    while True:
        try:
            return attempt(), tries.count
        except RetryableError as error:
            seconds = tries.pause(error.retry_after)
            if seconds is None:
                raise tries.over(error.why) from error
            (on_retry or log.warning)(tries.line(error, seconds))
            clock().sleep(seconds)
