"""Calls podman once: flags, retries, errors and events that all of `Engine` shares."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, NoReturn

from podman_agent.engine import events, process
from podman_agent.errors import EngineError
from podman_agent.explain.redact import Redactor
from podman_agent.explain.verdict import Verdict, classify, last_words
from podman_agent.registry import retry
from podman_agent.registry.access import Access
from podman_agent.registry.client import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from podman_agent.plan.reference import Reference


class PodmanCli:
    """Podman, typed.

    Args:
        command: What to run as podman; in the agent image `podman` is our wrapper.
        access: Credentials and certificates for all registries.
        policy: Retries; from the environment when None.
        on_event: Gets every event as it happens, from another thread than the caller's.
        redact: Shared with the caller, so that its secrets are masked too.
    """

    def __init__(
        self,
        command: Sequence[str] = ("podman",),
        access: Access | None = None,
        policy: retry.Policy | None = None,
        on_event: events.Listener | None = None,
        redact: Redactor | None = None,
    ) -> None:
        self.command, self.access = tuple(command), access or Access()
        self.policy = policy or retry.Policy.from_env()
        self.redact = redact or Redactor()
        self._listener = on_event
        self._version: tuple[int, ...] = ()

    @property
    def version(self) -> tuple[int, ...]:
        """Podman's version, asked once."""
        if not self._version:
            found = re.search(r"(\d+)\.(\d+)\.(\d+)", self.call(["--version"], "podman --version"))
            self._version = tuple(map(int, found.groups())) if found else (0, 0, 0)
        return self._version

    def call(self, arguments: Sequence[str], what: str) -> str:
        """Run a podman command that needs no network.

        Args:
            arguments: Without the program.
            what: For the error.

        Returns:
            Its standard output, stripped.

        Raises:
            EngineError: If it fails.
        """
        done = self._run(arguments, what, quiet=True)
        if done.returncode:
            raise self._failure(done, what)[0]
        return done.stdout.strip()

    def _run(
        self,
        arguments: Sequence[str],
        what: str,
        *,
        stdin: bytes | None = None,
        terminal: bool = False,
        note: events.Listener | None = None,
        quiet: bool = False,
    ) -> process.Finished:
        listen = None if quiet else self._line(what.partition(" ")[2], note)
        return process.run(
            [*self.command, *arguments],
            stdin=stdin,
            on_line=listen,
            terminal=terminal,
            timeout=self.policy.attempt_timeout,
        )

    def _checked(
        self,
        arguments: Sequence[str],
        what: str,
        *,
        registry: Reference | None = None,
        stdin: bytes | None = None,
        terminal: bool = False,
        note: events.Listener | None = None,
    ) -> process.Finished:
        """Run one attempt: a transient failure is raised for `retry.call`, any other for good."""
        done = self._run(arguments, what, stdin=stdin, terminal=terminal, note=note)
        if done.returncode:
            self._fail(*self._failure(done, what), registry)
        return done

    def _failure(self, done: process.Finished, what: str) -> tuple[EngineError, Verdict]:
        why = self.redact(last_words(done.stderr, done.returncode))
        verdict = classify(why)
        fix = verdict.known.cure if verdict.known else ""
        return EngineError(what, why, fix, returncode=done.returncode), verdict

    def _fail(self, error: EngineError, verdict: Verdict, registry: Reference | None) -> NoReturn:
        if not verdict.transient:
            raise error
        asked = None
        if registry and verdict.cause.startswith(("429", "503")):
            # podman keeps the server's Retry-After to itself
            asked = self._registry(registry).retry_after()
        raise retry.RetryableError(verdict.cause, retry_after=asked, why=error.why) from error

    def _registry(self, image: Reference) -> Registry:
        return Registry(image.registry, self.access, self.policy)

    def _line(self, what: str, note: events.Listener | None = None) -> Callable[[str], None]:
        def listen(line: str) -> None:
            event = events.parse(self.redact(line), what)
            if event.text:
                if note:
                    note(event)
                self._emit(event)

        return listen

    def _emit(self, event: events.Event) -> None:
        if self._listener:
            self._listener(event)

    def _tell(self, what: str) -> Callable[[str], None]:
        def tell(line: str) -> None:
            retry.log.warning("%s", self.redact(line))
            self._emit(events.Event("retry", what.partition(" ")[2], self.redact(line)))

        return tell

    @contextlib.contextmanager
    def _timed(self) -> Iterator[Callable[[], float]]:
        now = retry.clock().now
        start = now()
        yield lambda: round(now() - start, 3)

    def _no_retry(self, since: tuple[int, ...]) -> list[str]:
        """Switch podman's own retry off where it can be: ours alone counts and waits."""
        return ["--retry=0"] if self.version >= since else []

    def _pairs(self, flag: str, values: Mapping[str, str], file: Path) -> list[str]:
        """Hand over NAME=VALUE in a file, because argv can be read by every process of the pod.

        A value with a line break cannot stand in such a file and goes to argv after all.
        """
        in_file = {k: v for k, v in values.items() if "\n" not in v}
        if flag == "--build-arg" and self.version < (4, 6, 0):
            in_file = {}
        found = [f"{flag}={k}={v}" for k, v in values.items() if k not in in_file]
        if in_file:
            file.touch(mode=0o600)
            file.write_text("".join(f"{k}={v}\n" for k, v in in_file.items()))
            found.append(f"{flag}-file={file}")
        return found

    def _id(self, name: str) -> str:
        return self.call(["image", "inspect", "--format={{.Id}}", name], f"inspect {name}")


def sha(image_id: str) -> str:
    """Give an id with its algorithm."""
    return image_id if image_id.startswith("sha256:") else f"sha256:{image_id}"
