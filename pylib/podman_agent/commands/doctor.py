"""``podman-agent doctor``: what was found, what was chosen and why, and what would be better."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from podman_agent.commands import reasons
from podman_agent.errors import PodmanAgentError
from podman_agent.explain.cure import explain
from podman_agent.explain.redact import Redactor
from podman_agent.plan.advice import BROKEN, VERDICTS, advise, found, verdict
from podman_agent.plan.plan import Plan
from podman_agent.pod.facts import Facts
from podman_agent.prepare import state, trial_build

if TYPE_CHECKING:
    import argparse

_BOLD, _RED, _GREEN, _YELLOW = "1", "31", "32", "33"
_VERDICT_COLOURS = (_GREEN, _YELLOW, _RED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print facts, plan, advice and trials as JSON")
    parser.add_argument("--deep", action="store_true", help="try mounts, namespaces and a tiny build with a RUN step")


def _paint(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if sys.stdout.isatty() else text


def _verdict_line(code: int) -> str:
    return _paint(VERDICTS[code], _VERDICT_COLOURS[code])


def _table(facts: Facts) -> list[str]:
    rows = found(facts)
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 fine, 1 degraded, 2 cannot build."""
    try:
        hot = state.ensure()
        facts, plan = Facts.from_json(state.stored("facts.json")), Plan.from_json(state.stored("plan.json"))
    except PodmanAgentError as error:
        if args.json:
            print(json.dumps({"verdict": VERDICTS[BROKEN], "error": Redactor()(str(error))}, indent=1))
        else:
            print(f"{_verdict_line(BROKEN)}: {error}")
        return BROKEN
    trials = trial_build.trials(plan, hot) if args.deep else []
    advice = advise(facts, plan)
    code = verdict(advice, trials)
    if args.json:
        report: dict[str, Any] = {"verdict": VERDICTS[code], "facts": asdict(facts), "plan": asdict(plan)}
        report |= {"advice": [asdict(a) for a in advice], "trials": [asdict(t) for t in trials]}
        print(Redactor()(json.dumps(report, indent=1)))
        return code
    print(_paint("found", _BOLD), *_table(facts), "", sep="\n")
    print(_paint("chosen", _BOLD), *reasons.lines(asdict(reason) for reason in plan.reasons), "", sep="\n")
    for item in advice:
        print(f"{_paint('better:', _YELLOW)} {item.better}\n        now: {item.problem}")
    for trial in trials:
        colour = _GREEN if not trial.error else _RED if trial.needed else _YELLOW
        print(f"trial: {trial.name}: {_paint(trial.error or 'works', colour)}")
        for _, known in explain([trial.error]):
            print(f"       {known.cause}; {known.cure}")
    print(_verdict_line(code))
    return code
