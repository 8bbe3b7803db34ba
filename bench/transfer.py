"""Push and pull of a 1 GB image of 10 layers, to and from a registry on this machine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from bench.measuring import Check, Row, Samples, paired, ratio
from bench.peers import BUILDAH, DOCKERD, OURS, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import outer

    from bench.stage import Stage

WHO = (OURS, BUILDAH, DOCKERD)
LAYERS = 10


def write_layers(stage: Stage, megabytes: int) -> str:
    """Write the context of an image of `LAYERS` layers: half of every file compresses, half does not."""
    where = stage.work / "layers"
    pick = random.Random(10)
    for layer in range(LAYERS):
        directory = where / f"layer{layer}"
        directory.mkdir(parents=True)
        for n in range(10):
            half = megabytes * 1_000_000 // LAYERS // 10 // 2
            (directory / f"{n}.bin").write_bytes(pick.randbytes(half) + pick.randbytes(half // 2).hex().encode())
    (where / "Dockerfile").write_text("FROM scratch\n" + "".join(f"COPY layer{n} /d{n}\n" for n in range(LAYERS)))
    return str(where)


def transfer(stage: Stage) -> Iterator[Row]:
    """Push, push again, pull."""
    context = write_layers(stage, 50 if stage.quick else 1000)
    peers = stage.peers(*WHO)
    for peer in peers:
        peer.build("localhost/bench/large:1", context)
    note = stage.missing(*WHO)
    pushes: Samples = {peer.title: [] for peer in peers}
    repeats: Samples = {peer.title: [] for peer in peers}
    megabytes: dict[str, float] = {}

    def push(peer: Peer, registry: outer.Registry) -> float:
        name = f"{registry.address}/bench/large:1"
        peer.sh(f"$P tag localhost/bench/large:1 {name}")
        return peer.time("push", name)

    def sample(peer: Peer) -> Callable[[], float]:
        def once() -> float:
            with stage.fresh_registry() as registry:
                pushes[peer.title].append(push(peer, registry))
                stored = sum(file.stat().st_size for file in registry.directory.rglob("*") if file.is_file())
                megabytes[peer.title] = stored / 1e6
                repeats[peer.title] += [push(peer, registry) for _ in range(3)]
                peer.sh(f"$P rmi {registry.address}/bench/large:1")
            return pushes[peer.title][-1]

        return once

    versus = [peer.title for peer in peers if peer.title != OURS]
    paired({peer.title: sample(peer) for peer in peers}, rounds=stage.rounds(4), seconds=150, least=2)
    goals = tuple(ratio(pushes, OURS, title, 1.0) for title in versus)
    sizes = "in the registry then: " + ", ".join(f"{title} {size:.1f} MB" for title, size in megabytes.items())
    yield Row("push", "push of a 1 GB image of 10 layers", pushes, goals, note="; ".join(filter(None, (note, sizes))))
    seconds = sorted(repeats[OURS])[len(repeats[OURS]) // 2]
    goals = (Check("seconds", seconds, 0.3),)
    yield Row("push-again", "push again with nothing changed", repeats, goals, note=note)

    name = f"{stage.registry.address}/bench/large:1"
    push(peers[0], stage.registry)
    for peer in peers:
        peer.sh(f"$P rmi -f localhost/bench/large:1 {name} >/dev/null 2>&1 || true")

    def pull(peer: Peer) -> Callable[[], float]:
        def once() -> float:
            stage.forget(peer)
            return peer.time("pull", name)

        return once

    samples = paired({peer.title: pull(peer) for peer in peers}, rounds=stage.rounds(4), seconds=100, least=2)
    goals = tuple(ratio(samples, OURS, title, 1.0) for title in versus)
    yield Row("pull", "pull of it into an empty store", samples, goals, note=note)
    for peer in peers:
        stage.forget(peer)
