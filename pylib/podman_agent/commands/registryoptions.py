"""What the commands that talk to registries share: options, the engine, output, signals."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.engine.engine import Engine
from podman_agent.engine.progress import Progress
from podman_agent.explain.redact import Redactor
from podman_agent.registry import retry
from podman_agent.registry.access import Access

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import NoReturn

    from podman_agent.engine import events


def add_access(parser: argparse.ArgumentParser) -> None:
    """Declare how registries are reached."""
    group = parser.add_argument_group("registry")
    group.add_argument("--insecure", action="store_true", help="allow plain HTTP, unverified TLS")
    group.add_argument("--cert-dir", type=Path, metavar="DIR", help="instead of podman's certs.d")
    group.add_argument("--authfile", type=Path, metavar="FILE", help="instead of podman's own")


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Declare how progress is shown."""
    parser.add_argument(
        "--progress",
        choices=("auto", "bars", "lines", "quiet"),
        default="auto",
        help="bars on a terminal, one line a step in a log",
    )


def access(args: argparse.Namespace) -> Access:
    """Give the registry options as one value."""
    return Access(insecure=args.insecure, cert_dir=args.cert_dir, authfile=args.authfile)


def with_engine(args: argparse.Namespace, work: Callable[[Engine, Progress], int]) -> int:
    """Run a command's work with an engine whose events are shown.

    SIGTERM ends podman too, before this process: Jenkins' abort leaves no push behind.
    """
    redact = Redactor()
    log_to_stderr(redact)
    signal.signal(signal.SIGTERM, _terminate)
    with Progress(sys.stderr, getattr(args, "progress", "auto")) as progress:

        def listen(event: events.Event) -> None:
            if event.kind != "retry":  # the log has it
                progress(event)

        return work(Engine(access=access(args), on_event=listen, redact=redact), progress)


def log_to_stderr(redact: Redactor) -> None:
    """Let the retries' log lines reach the reader."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("podman-agent: %(message)s"))
    handler.addFilter(lambda record: _masked(record, redact))
    retry.log.handlers[:] = [handler]
    retry.log.propagate = False


def _masked(record: logging.LogRecord, redact: Redactor) -> bool:
    record.msg, record.args = redact(record.getMessage()), ()
    return True


def _terminate(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)
