"""``podman-agent explain``: what a failed build's log means in this pod."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from podman_agent.explain.cure import explain

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("message", nargs="*", help="error messages; without any, a log is read from stdin")


def run(args: argparse.Namespace) -> int:
    """Print cause and cure of every known error; 1 when there is none."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):  # a build's output may be in any encoding
            stream.reconfigure(errors="backslashreplace")
    found = False
    for line, known in explain(args.message or sys.stdin):
        found = True
        print(f"{line}\n  cause:  {known.cause}\n  cure:   {known.cure}\n  source: {known.source}")
    if not found:
        print("podman-agent: no error of a pod that is known here", file=sys.stderr)
    return 0 if found else 1
