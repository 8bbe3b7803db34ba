"""A new pod: until its first build is done, with a warm volume and with nothing but a registry's cache."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import outer

from bench.measuring import Check, Row, Samples, paired, ratio
from bench.peers import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.stage import Stage

MARK = "the build is done at"
WARM, EMPTY = "warm volume", "registry cache only"


def new_pod(stage: Stage, volume: Path, build: str) -> tuple[float, float]:
    """Start a pod for one build; gives the seconds from its first process, and from the command that starts it."""
    volume.mkdir(parents=True, exist_ok=True)
    started = time.time()
    done = outer.podman(
        *("run", "--rm", "--name", f"{outer.NAME}-bench-{secrets.token_hex(4)}", "--network=host", "--privileged"),
        *(f"--volume={volume}:/var/lib/containers", f"--volume={stage.work}:{stage.work}:ro", "--entrypoint=/bin/sh"),
        *("--env", f"PODMAN_AGENT_MIRRORS=docker.io={stage.registry.address}", outer.IMAGE, "-ec"),
        f"date +'{MARK} %s.%N'; {build}; date +'{MARK} %s.%N'",
        check=False,
    )
    clocks = [float(line.split()[-1]) for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or len(clocks) != 2:
        raise BenchError(f"a new pod failed ({done.returncode}): {done.stdout[-500:]}{done.stderr[-1000:]}")
    return clocks[1] - clocks[0], clocks[1] - started


def new_pods(stage: Stage) -> Iterator[Row]:
    """Both rows."""
    volume = stage.work / "volumes/warm"
    samples: Samples = {"from its first process": [], "from the command that starts the pod": []}

    def small() -> float:
        nonce = secrets.token_hex(4)
        script = f"printf 'FROM busybox\\nRUN echo {nonce}\\n' | docker build -q -t first:1 -"
        inner, whole = new_pod(stage, volume, script)
        for series, value in zip(samples.values(), (inner, whole), strict=True):
            series.append(value)
        return whole

    new_pod(stage, volume, "docker pull -q busybox")
    paired({"new pod": small}, rounds=stage.rounds(15), seconds=60)
    whole = sorted(samples["from the command that starts the pod"])
    check = Check("seconds from the command that starts the pod", whole[len(whole) // 2], 1.5)
    yield Row("new-pod", "new pod on a warm volume, first docker build done", samples, (check,))

    project, base = stage.project, stage.base
    reference = f"{stage.registry.address}/bench/cache"
    build = f"docker build --build-arg BASE={base} -t project:1 {project}"
    cached = build.replace("build ", f"build --cache-from type=registry,ref={reference} ", 1)
    fill = cached.replace("build ", f"build --cache-to type=registry,ref={reference},mode=max ", 1)
    new_pod(stage, volume, fill)
    empty = stage.work / "volumes/empty"

    def from_registry() -> float:
        stage.discard(empty)
        return new_pod(stage, empty, cached)[0]

    series: dict[str, Callable[[], float]] = {EMPTY: from_registry, WARM: lambda: new_pod(stage, volume, build)[0]}
    samples = paired(series, rounds=stage.rounds(4), seconds=150)
    goal = ratio(samples, EMPTY, WARM, 2.0)
    yield Row("new-pod-registry", "new pod with nothing but a registry cache: the project, unchanged", samples, (goal,))
    for path in (volume, empty):
        stage.discard(path)
