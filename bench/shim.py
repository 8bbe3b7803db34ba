"""What the shim itself costs, warm: paired runs, medians and ratios, no podman behind it.

Interleaved: bare ``python3 -IS -c pass``, ``true``, and the shim in front of ``true`` for verbs of each kind.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "pylib"))
RUNS = 300


def plan_with(program: str, directory: str) -> None:
    """Write a plan whose podman is `program`."""
    os.environ["PODMAN_AGENT_STATE_DIR"] = directory
    from podman_agent import planfile  # noqa: PLC0415 - reads the environment set here

    flags = ("--cgroup-manager=cgroupfs", "--events-backend=file")
    environment = {f"BENCH_{n}": "x" * 20 for n in range(6)}
    (Path(directory) / "hot").write_bytes(planfile.encode(planfile.Hot({"podman": program}, flags, environment)))


def seconds(command: list[str], env: dict[str, str]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, env=env, check=True)
    return time.perf_counter() - start


BARE = "python3 -IS -c pass"
Samples = dict[str, list[float]]


def measure(runs: int) -> Samples:
    """Seconds of each command, interleaved."""
    samples: Samples = {}
    with tempfile.TemporaryDirectory() as directory:
        plan_with("/bin/true", directory)
        env = dict(os.environ)
        commands = {
            BARE: ["/usr/bin/python3", "-IS", "-c", "pass"],
            "true": ["/bin/true"],
            "podman version": [str(ROOT / "entrypoint/podman"), "version"],
            "docker run": [str(ROOT / "entrypoint/docker"), "run", "--rm", "busybox", "true"],
            "docker exec": [str(ROOT / "entrypoint/docker"), "exec", "-i", "c", "true"],
        }
        samples = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                samples[name].append(seconds(command, env))
    del os.environ["PODMAN_AGENT_STATE_DIR"]
    return samples


def added(samples: Samples) -> dict[str, float]:
    """What the shim adds to the program behind it, in units of the bare interpreter."""
    medians = {name: statistics.median(values) for name, values in samples.items()}
    shims = [name for name in samples if name not in {BARE, "true"}]
    return {name: (medians[name] - medians["true"]) / medians[BARE] for name in shims}


def main() -> None:
    """Print one JSON object: medians in milliseconds and the ratios."""
    samples = measure(RUNS)
    report = {
        "runs": RUNS,
        "median_ms": {name: round(statistics.median(values) * 1000, 2) for name, values in samples.items()},
        "added to podman, in units of the bare interpreter": {n: round(v, 3) for n, v in added(samples).items()},
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
