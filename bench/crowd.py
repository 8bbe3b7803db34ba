"""Many at once: builds in one pod, and pods on one volume, against stores of their own."""

from __future__ import annotations

import importlib
import secrets
from typing import TYPE_CHECKING

from bench.measuring import Row, Samples, paired, ratio, say
from bench.peers import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.stage import Stage

ONE, OWN = "one store", "a store each"
VOLUME, VOLUMES = "one volume", "a volume each"
DOCKERFILE = """FROM busybox
ARG NONCE
COPY files /files
RUN echo $NONCE > /a && sha256sum /files/* > /sums
RUN for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=/f$i bs=64k count=8 2>/dev/null; done
RUN cat /sums
"""


def builds_at_once(stage: Stage) -> Iterator[Row]:
    """Eight builds at once in one pod: with one store, and with eight."""
    count = 2 if stage.quick else 8
    context = stage.work / "crowd"
    (context / "files").mkdir(parents=True)
    for n in range(200):
        (context / f"files/{n}").write_bytes(secrets.token_bytes(20_000))
    (context / "Dockerfile").write_text(DOCKERFILE)
    pod = next(iter(stage.peers(OURS)))
    # not on the outer graphroot: each has its own images, layers, locks and database
    roots = [["--root", f"/var/lib/containers/own/{n}", "--runroot", f"/run/own/{n}"] for n in range(count)]
    for root in roots:
        flags = " ".join(root)
        pod.sh(
            f"podman {flags} pull -q {stage.busybox}; "
            f"podman {flags} tag {stage.busybox} docker.io/library/busybox:latest"
        )

    def together(stores: list[list[str]]) -> float:
        nonce = secrets.token_hex(4)
        arguments = ["--format", "docker", "-q", "--build-arg"]
        commands = [
            ["podman", *store, "build", *arguments, f"NONCE={nonce}{n}", "-t", f"crowd:{n}", str(context)]
            for n, store in enumerate(stores)
        ]
        return pod.ask(*commands)[0]

    series = {ONE: lambda: together([[]] * count), OWN: lambda: together(roots)}
    samples = paired(series, rounds=stage.rounds(8), seconds=120)
    goal = ratio(samples, OWN, ONE, 0.95, at_least=True)
    yield Row("builds-at-once", f"{count} builds at once in one pod (throughput)", samples, (goal,))
    for root in roots:
        pod.sh(f"podman {' '.join(root)} rmi -af >/dev/null")
    pod.sh("rm -rf /var/lib/containers/own; podman image prune -af >/dev/null")


def pods_at_once(stage: Stage) -> Iterator[Row]:
    """Eight pods at once on one volume, as the soak test runs them, against eight with a volume each."""
    pods, rounds = (2, 2) if stage.quick else (8, 5)
    work = stage.work / "together"
    work.mkdir()
    failed: list[str] = []
    agents = importlib.import_module("agents")
    together = importlib.import_module("together").together
    with agents.registry(work) as registry:

        def run(mode: str) -> float:
            result = together(work, registry.address, mode, pods, rounds)
            failed.extend(map(str, result["failures"]))
            return float(result["seconds"])

        series = {VOLUME: lambda: run("claim"), VOLUMES: lambda: run("private")}
        samples: Samples = paired(series, rounds=stage.rounds(3), seconds=200, least=2)
    for failure in failed:
        say(f"a round of the {pods} pods failed: {failure}")
    goal = ratio(samples, VOLUMES, VOLUME, 0.95, at_least=True)
    note = f"{len(failed)} rounds failed" if failed else ""
    yield Row("pods-at-once", f"{pods} pods at once, {rounds} rounds each (throughput)", samples, (goal,), note=note)
    stage.discard(work)
