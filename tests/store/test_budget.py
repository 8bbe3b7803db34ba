"""A key's budget is kept at a claim, when nothing runs on the stores it takes from."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from podman_agent.errors import ConfigError
from podman_agent.store import removal
from podman_agent.store.budget import recorded
from podman_agent.store.content import image_names
from podman_agent.store.layout import HOME, Store
from podman_agent.store.verify import verify
from store.fabricate import Fabric
from store.test_gc import exists

if TYPE_CHECKING:
    from pathlib import Path

    from store.conftest import Volume


def three_images(root: Path) -> None:
    removal.remove(root)
    fabric = Fabric(root)
    for number in range(3):
        layer = fabric.layer({f"f{number}": bytes(100_000)})
        image = fabric.image(f"localhost/i:{number}", [layer])
        when = 1_700_000_000 + number
        os.utime(root / "overlay-images" / image, (when, when))
    fabric.save()


def test_without_a_budget_nothing_goes(volume: Volume) -> None:
    first = volume.pod("a")
    three_images(first.graphroot)
    volume.kill(first)
    assert len(image_names(volume.pod("b").graphroot)) == 3


def test_a_claim_over_budget_drops_the_oldest_images(volume: Volume) -> None:
    first = volume.pod("a")
    three_images(first.graphroot)
    volume.kill(first)
    second = volume.pod("b", PODMAN_AGENT_CACHE_BUDGET="250k")
    assert second.graphroot == first.graphroot
    assert "over PODMAN_AGENT_CACHE_BUDGET: removed localhost/i:" in second.note
    assert len(image_names(second.graphroot)) == 2
    assert recorded(volume.root / HOME / "default") <= 250_000
    assert not verify(second.graphroot).damage


def test_free_stores_go_first_and_stores_in_use_never(volume: Volume) -> None:
    claims = [volume.pod(name) for name in "abc"]
    for ours in claims:
        removal.remove(ours.graphroot)
        fabric = Fabric(ours.graphroot)
        fabric.image("localhost/own:1", [fabric.layer({ours.store: bytes(100_000)})])
        fabric.save()
    volume.kill(claims[1])
    volume.kill(claims[2])
    ours = volume.pod("d", PODMAN_AGENT_CACHE_BUDGET="220k")
    assert "store default/1 removed" in ours.note
    assert exists(volume, "default/0")
    assert image_names(claims[0].graphroot) == {"localhost/own:1"}
    assert not exists(volume, "default/1")
    assert image_names(ours.graphroot) == {"localhost/own:1"}


def test_what_a_budget_takes_away_is_deleted_by_the_holder(volume: Volume) -> None:
    first = volume.pod("a")
    three_images(first.graphroot)
    volume.kill(first)
    ours = volume.pod("b", PODMAN_AGENT_CACHE_BUDGET="0")
    store = Store(volume.root / HOME / ours.store)
    assert image_names(ours.graphroot) == set()
    deadline = time.monotonic() + 30
    while store.trash.exists() and time.monotonic() < deadline:
        os.sched_yield()
    assert not store.trash.exists()
    assert not list((ours.graphroot / "overlay").glob("*/diff"))


@pytest.mark.parametrize("value", ["lots", "-1", "4 apples"])
def test_a_budget_that_is_no_size_is_refused(volume: Volume, value: str) -> None:
    with pytest.raises(ConfigError, match="PODMAN_AGENT_CACHE_BUDGET"):
        volume.pod("a", PODMAN_AGENT_CACHE_BUDGET=value)


def test_images_stay_when_stores_in_use_are_over_the_budget_alone(volume: Volume) -> None:
    first = volume.pod("a")
    three_images(first.graphroot)
    second = volume.pod("b", PODMAN_AGENT_CACHE_BUDGET="250k")  # hard links of the same three
    assert len(image_names(second.graphroot)) == 3


def test_an_image_that_a_store_in_use_has_too_stays(volume: Volume) -> None:
    first = volume.pod("a")
    three_images(first.graphroot)
    second = volume.pod("b")
    fabric = Fabric(volume.root / "aside")
    volume.kill(second)
    layers = [fabric.layer({f"own{n}": bytes(100_000)}) for n in range(1)]
    fabric.image("localhost/own:1", layers)
    for n in range(3):
        fabric.image(f"localhost/i:{n}", [fabric.layer({f"f{n}": bytes(100_000)})])
    fabric.save()
    removal.remove(second.graphroot)
    fabric.root.rename(second.graphroot)
    again = volume.pod("c", PODMAN_AGENT_CACHE_BUDGET="350k")
    assert again.graphroot == second.graphroot
    assert image_names(again.graphroot) == {f"localhost/i:{n}" for n in range(3)}
