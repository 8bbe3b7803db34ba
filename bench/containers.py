"""``docker run`` and ``docker exec``: what a step of a pipeline waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import host
import outer

from bench import shim
from bench.measuring import Check, Row, Samples, paired, ratio
from bench.peers import DEFAULT, DOCKERD, OURS, PODMAN_DOCKER, STABLE, STABLE_FUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.peers import Peer
    from bench.stage import Stage

ALL = (OURS, STABLE, STABLE_FUSE, DEFAULT, DOCKERD)


def shim_cost(stage: Stage) -> Iterator[Row]:
    """The shim in front of nothing, against the bare interpreter."""
    samples = shim.measure(shim.RUNS // (10 if stage.quick else 1))
    bare = shim.BARE
    checks = tuple(Check(f"({name} - true) / ({bare})", value, 1.15) for name, value in shim.added(samples).items())
    yield Row("shim", "the shim's own cost, warm", samples, checks)


def run_and_exec(stage: Stage) -> Iterator[Row]:
    """``run --rm busybox true``, and ``exec`` into a container that runs."""
    peers = {peer.title: peer for peer in stage.peers(*ALL)}

    def timed(peer: Peer, *args: str) -> Callable[[], float]:
        return lambda: peer.time(*args)

    def series(*args: str) -> dict[str, Callable[[], float]]:
        runs = {title: timed(peer, *args) for title, peer in peers.items()}
        stable, script = peers[STABLE], podman_docker()
        runs[PODMAN_DOCKER] = lambda: stable.ask(["sh", "-c", script, "docker", *args])[0]
        return runs

    note = stage.missing(*ALL)
    # no network of its own to make there: --bridge=none is how it starts without CAP_SYS_RESOURCE and iptables
    peers_run = series("run", "--rm", "busybox", "true")
    if dockerd := peers.get(DOCKERD):
        peers_run[DOCKERD] = timed(dockerd, "run", "--rm", "--network", "host", "busybox", "true")
    samples = paired(peers_run, rounds=stage.rounds(40), seconds=90)
    yield Row("run", "docker run --rm busybox true", samples, goals(samples, 0.8), note=note)

    for peer in peers.values():
        peer.sh("$P run -d --name target --network host busybox sleep 1000000 >/dev/null")
    samples = paired(series("exec", "target", "true"), rounds=stage.rounds(40), seconds=60)
    yield Row("exec", "docker exec into a running container", samples, goals(samples, 0.9), note=note)
    for peer in peers.values():
        peer.sh("$P rm -f target >/dev/null")


def goals(samples: Samples, limit: float) -> tuple[Check, ...]:
    """Against podman/stable as its containers.conf makes it, and as its storage.conf does too."""
    return tuple(ratio(samples, OURS, title, limit) for title in (STABLE, STABLE_FUSE) if title in samples)


def podman_docker() -> str:
    """The text of podman-docker's ``docker``; its package conflicts with docker.io's, so it is unpacked."""
    tree = outer.ROOT / ".cache/bench/podman-docker"
    host.unpack("podman-docker", into=tree)
    return (tree / "usr/bin/docker").read_text()
