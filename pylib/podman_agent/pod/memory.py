"""What memory this container may have and has: the limit that a kubelet wrote, as the cgroup shows it now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# cgroup v1 has the largest multiple of a page for "no limit": kernel/memcontrol.c, PAGE_COUNTER_MAX
_NO_LIMIT = 1 << 60
_UNITS = (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a container, in bytes.

    Attributes:
        limit: What it may have at most; 0 without a limit.
        used: Its working set, by which a kubelet evicts: all but the file cache that was not used of late.
        killed: Programs that the kernel ended because there was no more.
    """

    limit: int
    used: int
    killed: int

    @property
    def field(self) -> str:
        """The pod field that sets the limit, as a template has it; empty without one."""
        return f"resources.limits.memory: {quantity(self.limit)}" if self.limit else ""


def quantity(size: int) -> str:
    """Bytes as a Kubernetes quantity (apimachinery/pkg/api/resource/quantity.go, BinarySI)."""
    for unit, factor in _UNITS:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def read(root: Path = ROOT, own: Path = OWN) -> Memory | None:
    """Read this container's memory; none where the pod has no memory cgroup to be seen.

    Args:
        root: Where cgroups are mounted.
        own: The cgroups of this process (cgroups(7)).
    """
    try:
        groups = dict(line.split(":", 2)[1:] for line in own.read_text(encoding="utf-8").splitlines())
        if "memory" in groups:
            return _read(
                [*_ancestry(root / "memory", groups["memory"])],
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control", "total_inactive_file"),
            )
        return _read(
            [*_ancestry(root, groups.get("", "/"))],
            ("memory.max", "memory.current", "memory.events", "inactive_file"),
        )
    except (OSError, ValueError, KeyError):
        return None


def _ancestry(root: Path, path: str) -> Iterator[Path]:
    """The cgroup and those above it, as far as they are mounted here: a container sees its own as the root."""
    group = root / path.strip("/")
    while group != root:
        if group.is_dir():
            yield group
        group = group.parent
    yield root


def _read(groups: list[Path], names: tuple[str, str, str, str]) -> Memory | None:
    limit_of, used_of, events_of, inactive = names
    limited = [(limit, group) for group in groups if (limit := _limit(group / limit_of))]
    limit, group = min(limited, default=(0, groups[0]), key=lambda pair: pair[0])
    if not limit and not (group / used_of).exists():
        return None
    used = int((group / used_of).read_text()) - _table(group / "memory.stat").get(inactive, 0)
    return Memory(limit, max(used, 0), _table(group / events_of).get("oom_kill", 0))


def _limit(path: Path) -> int:
    text = path.read_text().strip() if path.exists() else "max"
    limit = 0 if text == "max" else int(text)
    return 0 if limit >= _NO_LIMIT else limit


def _table(path: Path) -> dict[str, int]:
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2}
