"""``podman-agent doctor``: what was found, what was chosen and why, and what would be better."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.commands import reasons
from podman_agent.errors import PodmanAgentError
from podman_agent.explain.cure import explain
from podman_agent.explain.redact import Redactor
from podman_agent.plan.advice import BROKEN, VERDICTS, Advice, advise, found, verdict
from podman_agent.plan.plan import Plan
from podman_agent.pod import memory, sizes
from podman_agent.pod.facts import Facts
from podman_agent.prepare import state, trial_build
from podman_agent.store.space import Space, space

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_BOLD, _RED, _GREEN, _YELLOW = "1", "31", "32", "33"
_WIDTH = 100
_SHORT = 40
# of --json: docs/reference/doctor.schema.json; a field that goes or changes its meaning makes another number
SCHEMA = 1
_NEARLY = 0.9
_VERDICT_COLOURS = (_GREEN, _YELLOW, _RED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="also say why each choice was made, and its source"
    )
    parser.add_argument("--json", action="store_true", help="print facts, plan, advice and trials as JSON")
    parser.add_argument("--deep", action="store_true", help="try mounts, namespaces and a tiny build with a RUN step")


def _paint(text: str, colour: str) -> str:
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\033[{colour}m{text}\033[0m" if coloured else text


def _verdict_line(code: int) -> str:
    return _paint(VERDICTS[code], _VERDICT_COLOURS[code])


def _table(rows: Sequence[tuple[str, str]], *, verbose: bool) -> list[str]:
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    return lines if verbose else [_clipped(line) for line in lines]


def _clipped(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 2].rpartition(" ")[0] + " …"


def _choices(plan: Plan) -> list[str]:
    """What was chosen, without why; what is long or rarely asked for is left to ``-v``."""
    words = [
        f"{r.choice}={r.value}{' (forced)' * r.forced}" for r in plan.reasons if r.forced or len(r.value) <= _SHORT
    ]
    joined = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap(joined, _WIDTH)]


def _in_use(used: memory.Memory | None, room: Space | None) -> list[tuple[str, str]]:
    """What there is at this moment, which no recorded fact can tell."""
    rows = [("memory", f"{sizes.size_text(used.used)} used, {used.field or 'no limit'}")] if used else []
    return [*rows, ("disk", f"{room.text} for the store")] if room else rows


def _memory_advice(used: memory.Memory | None) -> tuple[Advice, ...]:
    if not used or not used.limit:
        return ()
    if used.killed:
        problem = f"{used.killed} programs were killed by the kernel at {used.field}"
    elif used.used > used.limit * _NEARLY:
        problem = f"{sizes.size_text(used.used)} are used of {used.field}: the next program may be killed"
    else:
        return ()
    return (Advice(problem, "a higher resources.limits.memory, or fewer jobs at a time"),)


def _space_advice(room: Space | None, graphroot: str) -> tuple[Advice, ...]:
    if not room or not room.low:
        return ()
    problem = f"{'few inodes are' if room.inodes_low else 'little room is'} left at {graphroot}: {room.text}"
    better = "podman-agent gc, or a larger volume" + (" made with more inodes" if room.inodes_low else "")
    return (Advice(problem, better),)


def _room(graphroot: str) -> Space | None:
    try:
        return space(Path(graphroot))
    except OSError:
        return None


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 fine, 1 degraded, 2 cannot build."""
    try:
        hot = state.ensure()
        facts, plan = Facts.from_json(state.stored("facts.json")), Plan.from_json(state.stored("plan.json"))
    except PodmanAgentError as error:
        if args.json:
            print(
                json.dumps({"schema": SCHEMA, "verdict": VERDICTS[BROKEN], "error": Redactor()(str(error))}, indent=1)
            )
        else:
            print(f"{_verdict_line(BROKEN)}: {error}")
        return BROKEN
    trials = trial_build.trials(plan, hot) if args.deep else []
    used, room = memory.read(), _room(facts.graphroot)
    advice = (*advise(facts, plan), *_memory_advice(used), *_space_advice(room, facts.graphroot))
    code = verdict(advice, trials)
    if args.json:
        report: dict[str, Any] = {"schema": SCHEMA, "verdict": VERDICTS[code]}
        report |= {"facts": asdict(facts), "plan": asdict(plan)}
        report |= {"advice": [asdict(a) for a in advice], "trials": [asdict(t) for t in trials]}
        print(Redactor()(json.dumps(report, indent=1)))
        return code
    print(_paint("found", _BOLD), *_table((*found(facts), *_in_use(used, room)), verbose=args.verbose), "", sep="\n")
    chosen = reasons.lines(asdict(reason) for reason in plan.reasons) if args.verbose else _choices(plan)
    print(_paint("chosen", _BOLD) + ("" if args.verbose else ", and why: -v"), *chosen, "", sep="\n")
    for item in advice:
        print(f"{_paint('better:', _YELLOW)} {item.better}\n        now: {item.problem}")
    for trial in trials:
        colour = _GREEN if not trial.error else _RED if trial.needed else _YELLOW
        print(f"trial: {trial.name}: {_paint(trial.error or 'works', colour)}")
        for _, known in explain([trial.error]):
            print(f"       {known.cause}; {known.cure}")
    print(_verdict_line(code))
    return code
