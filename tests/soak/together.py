"""Eight pods at once on one volume, each with mixed pulls, builds, runs and prunes.

    together.py --pods 8 --rounds 25 --mode claim|plain|private [--against MODE --turns 5] --work DIR

``claim`` is how the agent shares a volume, ``plain`` is the seed's way (one graphroot for all), ``private``
gives each pod a volume of its own: the throughput to compare with. With ``--against`` two modes take turns, each
with its part of the rounds on the volumes of its turn before, so that the noise of a busy machine meets both.
Prints one JSON object; exits 1 when a round failed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

import agents
from podman_agent.store import removal

MODES = ("claim", "plain", "private")


def together(work: Path, address: str, mode: str, count: int, rounds: int, *, first: int = 0) -> dict[str, Any]:
    """Run `count` pods of `rounds` rounds each at once.

    Args:
        work: Where the volumes are.
        address: The registry.
        mode: ``claim``, ``plain`` or ``private``.
        count: How many pods.
        rounds: How many rounds each does.
        first: The number of the first round; the volumes are new when it is 0.

    Returns:
        What failed, rounds a second over all pods, from the first start to the last end, and what a round took.
    """
    failures: list[str] = []
    ended = []
    took: list[float] = []

    def run(number: int) -> None:
        volume = work / (f"private-{number}" if mode == "private" else f"together-{mode}")
        volume.mkdir(exist_ok=True)
        how = "plain" if mode == "private" else mode
        pod = agents.Worker(volume, address, how, "mixed", str(rounds), str(first))
        for line in pod.lines():
            word, _, rest = line.partition(" ")
            if word == "FAILED":
                failures.append(f"pod {number}: {rest}")
            elif word == "ROUND":
                took.append(float(rest))
            elif word == "DONE":
                ended.append(number)
        pod.wait()

    if not first:
        for leftover in work.glob("private-*") if mode == "private" else (work / f"together-{mode}",):
            removal.remove(leftover)
    started = time.monotonic()
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    failures += [f"pod {n}: ended early" for n in range(count) if n not in ended]
    return {
        "mode": mode,
        "pods": count,
        "rounds": rounds,
        "seconds": round(seconds, 1),
        "rounds_per_second": round(count * rounds / seconds, 3),
        "median_round_seconds": round(statistics.median(took), 3) if took else None,
        "failed": len(failures),
        "failures": failures[:10],
    }


def compare(work: Path, address: str, modes: tuple[str, str], count: int, *, rounds: int, turns: int) -> dict[str, Any]:
    """Let two modes take turns: A B, B A, A B …, for whoever goes first finds another page cache.

    Returns:
        Each mode's medians over its turns, and the median over turns of the first mode's throughput by the second's.
    """
    seen: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
    done = 0
    for turn in range(turns):
        part = rounds * (turn + 1) // turns - done
        for mode in modes if turn % 2 == 0 else modes[::-1]:
            seen[mode].append(together(work, address, mode, count, part, first=done))
            print(f"turn {turn + 1}: {json.dumps(seen[mode][-1])}", file=sys.stderr, flush=True)
        done += part
    result: dict[str, Any] = {"pods": count, "rounds": rounds, "turns": turns}
    for mode, runs in seen.items():
        result[mode] = {
            "failed": sum(run["failed"] for run in runs),
            "failures": [failure for run in runs for failure in run["failures"]][:10],
            "seconds": round(sum(run["seconds"] for run in runs), 1),
            "rounds_per_second": [run["rounds_per_second"] for run in runs],
            "median_rounds_per_second": round(statistics.median(run["rounds_per_second"] for run in runs), 3),
            "median_round_seconds": round(statistics.median(run["median_round_seconds"] or 0 for run in runs), 3),
        }
    pairs = zip(*(result[mode]["rounds_per_second"] for mode in modes), strict=True)
    result["ratios"] = [round(a / b, 3) for a, b in pairs]
    result["median_ratio"] = round(statistics.median(result["ratios"]), 3)
    result["failed"] = sum(result[mode]["failed"] for mode in modes)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--mode", choices=MODES, default="claim")
    parser.add_argument("--against", choices=MODES, help="let this mode and --mode take turns")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    if args.against == args.mode or not 0 < args.turns <= args.rounds:
        parser.error("two modes, and at least one round a turn")
    args.work.mkdir(parents=True, exist_ok=True)
    with agents.registry(args.work) as registry:
        if args.against:
            modes = (args.mode, args.against)
            result = compare(args.work, registry.address, modes, args.pods, rounds=args.rounds, turns=args.turns)
        else:
            result = together(args.work, registry.address, args.mode, args.pods, args.rounds)
    print(json.dumps(result, indent=1))
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
