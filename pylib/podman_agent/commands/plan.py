"""``podman-agent plan``: what was decided for this pod, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from podman_agent.commands import reasons
from podman_agent.explain.redact import Redactor
from podman_agent.prepare import state

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--facts", action="store_true", help="print the facts it rests on, as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan of this container start, made first if there is none yet."""
    state.ensure()
    text = state.stored("facts.json" if args.facts else "plan.json")
    if args.json or args.facts:
        print(Redactor()(text))
        return 0
    print(*reasons.lines(json.loads(text)["reasons"]), sep="\n")
    return 0
