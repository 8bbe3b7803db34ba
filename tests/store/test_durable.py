"""What is flushed when: by the holder after a claim, by a collection, at the end of a pod."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from podman_agent.agent import drain
from podman_agent.store import durable, gc
from podman_agent.store.content import Content
from podman_agent.store.layout import HOME, Store
from store.fabricate import small

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from store.conftest import Volume


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def flushed(store: Store) -> bool:
    return not durable.lacks(Content.of(store), durable.known(store))


def test_the_holder_flushes_what_the_last_pod_left(volume: Volume) -> None:
    first = volume.pod("a")
    small(first.graphroot)
    store = Store(volume.root / HOME / first.store)
    assert not flushed(store)
    volume.kill(first)
    assert volume.pod("b").store == first.store
    until(lambda: flushed(store))


def test_images_of_another_store_are_flushed_before_they_count(volume: Volume) -> None:
    first = volume.pod("a")
    small(first.graphroot)
    second = volume.pod("b")
    store = Store(volume.root / HOME / second.store)
    assert Content.of(store)[0].images
    until(lambda: flushed(store))


def test_a_collection_flushes_stores_that_nobody_holds(volume: Volume) -> None:
    first = volume.pod("a")
    small(first.graphroot)
    store = Store(volume.root / HOME / first.store)
    gc.collect(volume.root, gc.Policy(age=1e12))
    assert not flushed(store), "it is held"
    volume.kill(first)
    gc.collect(volume.root, gc.Policy(age=1e12))
    assert flushed(store)


def test_the_end_of_a_pod_flushes_its_store(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    first = volume.pod("a")
    small(first.graphroot)
    monkeypatch.setenv("PODMAN_AGENT_STATE_DIR", os.fspath(volume.path / "run-a"))
    monkeypatch.setattr(drain, "engines", set)  # those of this machine are not ours to end
    drain.drain(6.0, podman="true", buildah="true")
    assert flushed(Store(volume.root / HOME / first.store))
