"""Which file system of this pod was full, how large it is, and what garbage collection could free."""

from __future__ import annotations

import json
import re
from pathlib import Path

from podman_agent.errors import PodmanAgentError
from podman_agent.pod import sizes
from podman_agent.pod.volume import existing_ancestor
from podman_agent.prepare import state
from podman_agent.store import gc_held, layout, usage
from podman_agent.store.space import space

_PATH = re.compile(r"(/[^\s:\"']+): (?:no space left on device|disk quota exceeded)", re.IGNORECASE)
_QUOTA = re.compile(r"disk quota exceeded", re.IGNORECASE)
# a step of the user's own may print these words for reasons of its own: only a disk that is full now is blamed
_FULL_PART, _FULL_BYTES = 0.05, 1 << 30


def advice(said: str, *, sure: bool) -> str:
    """Say with sizes which file system is full, and what would free it.

    Args:
        said: Podman's words, which may name the path it could not write.
        sure: Podman itself failed on it; if not, only a volume that is full now is blamed.

    Returns:
        One clause or two; empty where nothing is known to be full.
    """
    try:
        facts = json.loads(state.stored("facts.json"))
    except (PodmanAgentError, ValueError):
        return ""
    volume, graphroot = Path(facts["volume"]), Path(facts["graphroot"])
    place = _place(said, graphroot)
    on_volume = _device(place) == _device(graphroot)
    room = space(graphroot if on_volume else place)
    roomy = room.free > min(room.total * _FULL_PART, _FULL_BYTES) and not room.inodes_low
    if not sure and roomy:
        return ""
    left = f"{room.text} now"
    if room.inodes_low:
        left += "; every file takes an inode: a file system made with more of them (mkfs.ext4 -N), or xfs, has room"
    elif roomy and _QUOTA.search(said):
        left += ", but a quota of the file system is used up: whoever set it can raise it"
    what = "out of inodes" if room.inodes_low else "full"
    if not on_volume:
        return f"the file system of {place} is {what}: {left}; mount a larger emptyDir there"
    if not facts["volume_mounted"]:
        return f"the container's own layer at {graphroot} is {what}: {left}; mount a volume at {volume}"
    ours = [store for store in layout.all_stores(volume) if store.graphroot == graphroot and not gc_held.at_work()]
    dead = sum(usage.freed_by([written for _, written in gc_held.dead_builds(s)], s.root) for s in ours)
    freed = sizes.size_text(usage.could_free(volume) + dead)
    return (
        f"the volume at {volume} is {what}: {left}; podman-agent gc could free about {freed},"
        " docker system prune -a what no container of this pod uses; or give the volume more room"
    )


def _place(said: str, graphroot: Path) -> Path:
    """The directory that podman could not write in; a path inside of a build step is on the graphroot."""
    for match in _PATH.finditer(said):
        path = Path(match[1])
        parent = next((p for p in path.parents if p.is_dir()), Path("/"))
        if str(parent) != "/" and _is_podmans(path, graphroot):
            return parent
    return graphroot


def _is_podmans(path: Path, graphroot: Path) -> bool:
    return path.is_relative_to(graphroot.parent) or str(path).startswith(("/tmp/", "/var/tmp/", "/run/", "/dev/shm/"))


def _device(path: Path) -> int:
    return existing_ancestor(path).stat().st_dev
