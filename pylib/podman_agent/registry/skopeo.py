"""Skopeo as a child: what a registry holds, asked with podman's own credentials, certificates and rights."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import EngineError, EngineMissingError, UnavailableError
from podman_agent.explain.redact import Redactor
from podman_agent.explain.transfers import UNREACHABLE
from podman_agent.explain.verdict import classify, last_words
from podman_agent.registry import retry
from podman_agent.registry.registriesconf import RegistriesConf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from podman_agent.explain.explanation import Explanation


class FailedError(EngineError):
    """Skopeo's verdict, and what is known about it."""

    def __init__(self, what: str, why: str, known: Explanation | None) -> None:
        super().__init__(what, why, known.cure if known else "")
        self.known = known


def read(
    arguments: Sequence[str],
    name: str,
    version: str,
    policy: retry.Policy,
    *,
    env: Mapping[str, str] | None = None,
    retry_after: Callable[[], float | None] = lambda: None,
) -> bytes:
    """Run a skopeo command on the very registry that a name says, past its mirrors, as often as it helps.

    Args:
        arguments: Command and flags.
        name: Registry and repository.
        version: ``:tag``, ``@digest`` or nothing.
        policy: How often it is tried.
        env: `os.environ` when None.
        retry_after: Asks a registry that said 429 or 503 for how long.

    Returns:
        Its standard output.

    Raises:
        EngineMissingError: If there is no skopeo.
        FailedError: If the registry refuses.
        UnavailableError: If it cannot be spoken to.
        TransientError: After all retries.
    """
    env = os.environ if env is None else env
    what = f"{arguments[0]} {name}{version}"
    with tempfile.TemporaryDirectory(prefix="podman-agent-") as scratch:
        conf = Path(scratch, "registries.conf")
        conf.write_text(RegistriesConf.load(env).without_mirrors(name), encoding="utf-8")
        # hidden, and of all versions: https://github.com/containers/skopeo/blob/v1.9.3/cmd/skopeo/main.go
        argv = ["skopeo", f"--registries-conf={conf}", *arguments, f"docker://{name}{version}"]

        def attempt() -> bytes:
            try:
                done = subprocess.run(
                    argv,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=policy.attempt_timeout,
                    check=False,
                )
            except FileNotFoundError as error:
                missing = "skopeo is not installed"
                raise EngineMissingError(missing, fix="install the skopeo package") from error
            except subprocess.TimeoutExpired as error:
                why = f"no end after {policy.attempt_timeout:.0f} s"
                raise retry.RetryableError(why) from error
            if done.returncode:
                _fail(what, Redactor()(last_words(done.stderr.decode(errors="replace"), done.returncode)), retry_after)
            return done.stdout

        return retry.call(attempt, what, policy)[0]


def _fail(what: str, why: str, retry_after: Callable[[], float | None]) -> None:
    verdict = classify(why)
    if verdict.transient:
        asked = retry_after() if verdict.cause.startswith(("429", "503")) else None
        raise retry.RetryableError(verdict.cause, retry_after=asked, why=why)
    if verdict.known in UNREACHABLE:
        raise UnavailableError(what, why, verdict.known.cure if verdict.known else "")
    raise FailedError(what, why, verdict.known)
