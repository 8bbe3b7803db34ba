"""``podman-agent plan``: what was decided for this pod, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent import state

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--facts", action="store_true", help="print the facts it rests on, as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan; nothing is written but the trials' own traces."""
    decision = state.look()
    if args.facts:
        print(decision.facts.to_json())
        return 0
    if args.json:
        print(decision.plan.to_json())
        return 0
    width = max(len(reason.choice) for reason in decision.plan.reasons)
    for reason in decision.plan.reasons:
        mark = " (forced)" if reason.forced else ""
        print(f"{reason.choice:<{width}}  {reason.value}{mark}: {reason.why}")
        print(f"{'':<{width}}  {reason.source}")
    return 0
