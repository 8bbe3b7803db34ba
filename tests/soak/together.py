"""Eight pods at once on one volume, each with mixed pulls, builds, runs and prunes.

    together.py --pods 8 --rounds 25 --mode claim|plain|private --work DIR

``claim`` is how the agent shares a volume, ``plain`` is the seed's way (one graphroot for all), ``private``
gives each pod a volume of its own: the throughput to compare with. Prints one JSON object; exits 1 when a
round failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path

import agents
from podman_agent.store import layout


def together(work: Path, address: str, mode: str, count: int, rounds: int) -> dict[str, object]:
    """Run `count` pods of `rounds` rounds each at once.

    Returns:
        What failed, and rounds a second over all pods, from the first start to the last end.
    """
    failures: list[str] = []
    ended = []

    def run(number: int) -> None:
        volume = work / (f"private-{number}" if mode == "private" else f"together-{mode}")
        volume.mkdir(exist_ok=True)
        pod = agents.Worker(volume, address, "plain" if mode == "private" else mode, "mixed", str(rounds))
        for line in pod.lines():
            if line.startswith("FAILED"):
                failures.append(f"pod {number}: {line[7:]}")
            elif line.startswith("DONE"):
                ended.append(number)
        pod.wait()

    for leftover in (*work.glob("private-*"), work / f"together-{mode}"):
        layout.remove(leftover)
    started = time.monotonic()
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    failures += [f"pod {n}: ended early" for n in range(count) if n not in ended]
    speed = round(count * rounds / seconds, 3)
    shape: dict[str, object] = {"mode": mode, "pods": count, "rounds": rounds, "seconds": round(seconds, 1)}
    return {**shape, "rounds_per_second": speed, "failed": len(failures), "failures": failures[:10]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--mode", choices=("claim", "plain", "private"), default="claim")
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    with agents.registry(args.work) as registry:
        result = together(args.work, registry.address, args.mode, args.pods, args.rounds)
    print(json.dumps(result, indent=1))
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
