"""Builds of the project: cold, after one changed line, and with nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import project
from bench.measuring import Row, paired, ratio
from bench.peers import BUILDAH, DEFAULT, DOCKERD, OURS, UNPRIVILEGED, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.stage import Stage

WHO = (OURS, BUILDAH, DOCKERD, UNPRIVILEGED)


def builds(stage: Stage) -> Iterator[Row]:
    """All rows of the project, interleaved peer by peer."""
    where, base = stage.project, stage.base
    peers = stage.peers(*WHO)
    for peer in peers:
        stage.keep(peer, base)
    note = stage.missing(*WHO)

    def build(peer: Peer) -> Callable[[], float]:
        return lambda: peer.build("project:1", "--build-arg", f"BASE={base}", str(where))

    def cold(peer: Peer) -> Callable[[], float]:
        def sample() -> float:
            stage.forget(peer)
            return build(peer)()

        return sample

    def change(number: int) -> None:
        project.change_line(where, number + 1)

    versus = [peer.title for peer in peers if peer.title in {BUILDAH, DOCKERD}]
    samples = paired({peer.title: cold(peer) for peer in peers}, rounds=stage.rounds(4), seconds=400, least=2)
    goals = tuple(ratio(samples, OURS, title, 1.0) for title in versus)
    what = "cold build, 40 steps, gcc, 300 MB, 4,000 small files"
    yield Row("build-cold", what, samples, goals, note=note)
    goals = (ratio(samples, UNPRIVILEGED, OURS, 1.1),)
    both = {title: samples[title] for title in (UNPRIVILEGED, OURS)}
    yield Row("build-unprivileged", "the same, unprivileged (native overlay, chroot)", both, goals)

    samples = paired({peer.title: build(peer) for peer in peers}, rounds=stage.rounds(8), seconds=180, before=change)
    goals = tuple(ratio(samples, OURS, title, 1.0) for title in versus)
    yield Row("build-one-line", "rebuild after one changed source line", samples, goals, note=note)

    stage.dismiss(UNPRIVILEGED)
    default = stage.peers(DEFAULT)
    for peer in default:
        stage.keep(peer, base)
        build(peer)()
    peers = [peer for peer in (*peers, *default) if peer.title != UNPRIVILEGED]
    samples = paired({peer.title: build(peer) for peer in peers}, rounds=stage.rounds(10), seconds=120)
    goals = (ratio(samples, OURS, DEFAULT, 0.7),)
    yield Row("build-no-op", "rebuild with nothing changed", samples, goals, note=note)
