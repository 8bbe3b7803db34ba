"""What stores use on the disk, and what removing them would free."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from podman_agent.errors import DataError
from podman_agent.pod import ids
from podman_agent.store import layout, locks
from podman_agent.store.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from podman_agent.store.beneath import Root


def _inodes(trees: Iterable[Path], root: Root) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Per inode: times seen, link count, bytes on disk."""
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    for tree in trees:
        for status in root.stats(tree):
            at = status.st_dev, status.st_ino
            seen = found.get(at, (0,))[0]
            links = 1 if stat.S_ISDIR(status.st_mode) else status.st_nlink
            found[at] = seen + 1, links, status.st_blocks * 512
    return found


def usage(trees: Iterable[Path], root: Root) -> int:
    """Bytes on disk, each file once however many links it has; adopted stores are followed.

    Args:
        trees: Directories of keys or stores, or what is below them.
        root: The volume.
    """
    roots = list(trees)
    if any(store.adopted for tree in list(roots) for store in layout.stores(tree, root)):
        roots.append(root.path / "storage")
    return ids.inside(lambda: sum(size for _, _, size in _inodes(roots, root).values()))


def freed_by(trees: Iterable[Path], root: Root) -> int:
    """Bytes that removing these trees frees: files with a link elsewhere free nothing; arguments as for `usage`."""
    return ids.inside(lambda: sum(size for seen, links, size in _inodes(trees, root).values() if seen >= links))


def could_free(volume: Path) -> int:
    """About what removing all unclaimed stores would free, in bytes, from their records alone."""
    free: dict[str, int] = {}
    used: set[str] = set()
    for store in layout.all_stores(volume):
        try:
            contents = Content.of(store)
        except (DataError, OSError):
            continue
        with locks.locked(store) as unclaimed:
            for content in contents:
                sizes = {i: r.get("diff-size") or 0 for i, r in content.layers.items()}
                if unclaimed and store.provable:
                    free |= sizes
                else:
                    used |= set(sizes)
    return sum(size for layer, size in free.items() if layer not in used)
