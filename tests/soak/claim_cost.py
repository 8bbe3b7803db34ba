"""What a claim costs at the start of a container, beside the same start without one.

Each figure is the median over runs of a whole Python process, in milliseconds: one that imports what the
plan imports anyway, and one that also claims a store with so many images and layers, left clean by its last
owner or with what a SIGKILL leaves. The stores are made by tests/store/fabricate.py.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "pylib")]

from podman_agent.store import removal  # noqa: E402
from store.conftest import Volume, end  # noqa: E402
from store.fabricate import Fabric  # noqa: E402

RUNS = 9
WITHOUT = "from podman_agent.prepare import state; from podman_agent.plan import decide"
WITH = (
    f"{WITHOUT}; import os; from pathlib import Path; from podman_agent.store import claim; v = Path(os.environ['V']);"
    "claim(v, key=None, env={'HOSTNAME': 'x'}, legacy=v / 'storage', run=v.parent / 'run')"
)


def once(code: str, volume: Path) -> tuple[float, float]:
    """Milliseconds of one process: on the clock, and of processor time, which a busy machine changes less."""
    env = {**os.environ, "V": str(volume), "PYTHONPATH": str(TESTS.parent / "pylib")}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * (time.perf_counter() - started), 1000 * used


def stock(graphroot: Path, layers: int, *, killed: bool) -> None:
    """A store of chains of ten layers, each an image; with five dead containers and an orphan if killed."""
    removal.remove(graphroot)
    fabric = Fabric(graphroot)
    for chain in range(layers // 10):
        below: list[str] = []
        for step in range(10):
            below.append(fabric.layer({f"f{chain}-{step}": b"x"}, parent=below[-1] if below else ""))
            fabric.image(f"localhost/i{chain}:{step}", below)
    if killed:
        for image in fabric.images[:5]:
            fabric.container(image["id"], image["layer"])
        (graphroot / "overlay" / ("ab" * 32)).mkdir()
    fabric.save()


def cost(layers: int, *, killed: bool) -> dict[str, float]:
    """Medians of interleaved runs."""
    without: list[tuple[float, float]] = []
    with_claim: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        volume = Volume(Path(scratch))
        ours = volume.pod("first")
        volume.kill(ours)
        for _ in range(RUNS):
            if killed or not with_claim:
                stock(ours.graphroot, layers, killed=killed)
            without.append(once(WITHOUT, volume.root))
            with_claim.append(once(WITH, volume.root))
            end(volume.root)
    found: dict[str, float] = {}
    for at, clock in enumerate(("wall", "cpu")):
        before, after = (statistics.median(run[at] for run in runs) for runs in (without, with_claim))
        found |= {f"{clock}_without": round(before, 1), f"{clock}_with": round(after, 1)}
        found[f"{clock}_claim"] = round(after - before, 1)
    return found


if __name__ == "__main__":
    rows = {
        f"{n} layers, {'killed' if k else 'clean'}": cost(n, killed=k) for n in (10, 200, 1000) for k in (False, True)
    }
    print(json.dumps(rows, indent=1))
