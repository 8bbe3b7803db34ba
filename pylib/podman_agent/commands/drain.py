"""``podman-agent drain``: end builds and containers; for a preStop hook where PID 1 ignores SIGTERM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.agent import drain

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--seconds", type=float, default=drain.SECONDS, help="for all of it (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """End them; killing some is no failure of the hook, which Kubernetes would only log."""
    killed = drain.drain(args.seconds)
    print(f"podman-agent: {killed} processes had to be killed" if killed else "podman-agent: nothing left running")
    return 0
