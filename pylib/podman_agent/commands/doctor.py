"""``podman-agent doctor``: what was found, what was chosen and why, and what would be better."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import state
from podman_agent.doctor import BROKEN, advise, verdict
from podman_agent.errors import PodmanAgentError
from podman_agent.explain import explain

if TYPE_CHECKING:
    import argparse

    from podman_agent.shim import Hot

_COLOURS = {"fine": "32", "degraded": "33", "cannot build": "31"}
_VERDICTS = ("fine", "degraded", "cannot build")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print facts, plan and advice as JSON")
    parser.add_argument("--deep", action="store_true", help="build a tiny image for a trial")


def _trial(hot: Hot) -> str:
    """Build from scratch with the plan's own podman; empty when it works, else podman's last line."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "Containerfile").write_text("FROM scratch\nCOPY Containerfile /\n")
        done = subprocess.run(
            ["podman", "build", "--quiet", "--no-cache", scratch],  # our own shim where it is first on PATH
            env=dict(hot.environment) | {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": scratch},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode == 0:
            subprocess.run(["podman", "rmi", "--force", done.stdout.strip()], capture_output=True, check=False)
            return ""
        return (done.stderr.strip().splitlines() or ["podman said nothing"])[-1]


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 fine, 1 degraded, 2 cannot build."""
    colour = sys.stdout.isatty()

    def verdict_line(code: int) -> str:
        text = _VERDICTS[code]
        return f"\033[{_COLOURS[text]}m{text}\033[0m" if colour else text

    try:
        decision = state.look()
        trial = _trial(state.ensure()) if args.deep else ""
    except PodmanAgentError as error:
        if args.json:
            print(json.dumps({"verdict": _VERDICTS[BROKEN], "error": str(error)}, indent=1))
        else:
            print(f"{verdict_line(BROKEN)}: {error}")
        return BROKEN
    advice = advise(decision.facts, decision.plan)
    code = BROKEN if trial else verdict(advice)
    if args.json:
        report = {"verdict": _VERDICTS[code], "facts": asdict(decision.facts), "plan": asdict(decision.plan)}
        print(json.dumps(report | {"advice": [asdict(a) for a in advice], "trial": trial}, indent=1))
        return code
    width = max(len(reason.choice) for reason in decision.plan.reasons)
    for reason in decision.plan.reasons:
        mark = " (forced)" if reason.forced else ""
        print(f"{reason.choice:<{width}}  {reason.value}{mark}: {reason.why}\n{'':<{width}}  {reason.source}")
    for item in advice:
        print(f"better: {item.better}\n        now: {item.problem}")
    if trial:
        print(f"trial build: {trial}")
        for _, known in explain([trial]):
            print(f"        {known.cause}; {known.cure}")
    print(verdict_line(code))
    return code
