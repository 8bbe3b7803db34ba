"""Keep a key within its budget at a claim: the store being claimed is idle then, and so are the free ones.

Sizes come from the records of layers alone, because a claim may not walk a volume; layers that several stores have by
hard links count once. What goes is renamed out of the way, and its bytes are freed by the holder in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.errors import DataError
from podman_agent.store import layout, locks
from podman_agent.store.content import Content, label
from podman_agent.store.gc import drop_images, leads_elsewhere, oldest_images
from podman_agent.store.removal import set_aside

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.store.layout import Store


def recorded(directory: Path) -> int:
    """Bytes that the records of all stores of a key add up to, each layer once."""
    return _total({store.path: _layers(store) for store in layout.stores(directory)})


def _total(layers: dict[Path, dict[str, int]]) -> int:
    return sum({layer: size for sizes in layers.values() for layer, size in sizes.items()}.values())


def _layers(store: Store) -> dict[str, int]:
    try:
        contents = Content.of(store)
    except (DataError, OSError):
        return {}
    return {i: r.get("diff-size") or 0 for content in contents for i, r in content.layers.items()}


def keep_within(directory: Path, ours: Store, budget: int) -> tuple[str, list[Path]]:
    """Remove free stores, least recently used first, then the oldest images of our own.

    Args:
        directory: The key's directory.
        ours: The store that is being claimed; the caller holds its lock and no engine runs on it yet.
        budget: Bytes.

    Returns:
        What was done, for the reasons of the plan, and the trees whose bytes are still to be freed.
    """
    stores = layout.stores(directory)
    layers = {store.path: _layers(store) for store in stores}
    done, rubbish = [], []
    others = [s for s in stores if s.path != ours.path and s.number is not None]
    for store in sorted(others, key=lambda s: s.state.claimed):
        if _total(layers) <= budget:
            break
        with locks.locked(store) as free:
            if free and not leads_elsewhere(store):
                rubbish.append(set_aside(store))
                done.append(f"store {store.name} removed")
                del layers[store.path]
    theirs = {path: sizes for path, sizes in layers.items() if path != ours.path}
    elsewhere = frozenset(layer for sizes in theirs.values() for layer in sizes)
    # Stores in use that are over the budget by themselves: emptying ours would bring nothing and cost all its pulls.
    possible = _total(theirs) <= budget
    while possible and (over := _total(layers) - budget) > 0 and (chosen := oldest_images(ours, over, elsewhere)):
        for content, images in chosen:
            drop_images(ours, content, [i["id"] for i in images])
            done.append("removed " + ", ".join(label(i) for i in images))
        layers[ours.path] = _layers(ours)
    if not done:
        return "", []
    return f"over PODMAN_AGENT_CACHE_BUDGET: {', '.join(done)}", rubbish
