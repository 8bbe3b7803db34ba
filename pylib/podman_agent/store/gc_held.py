"""Garbage collection of the store this very container holds: by the engine alone, and only while none is at work."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import DataError
from podman_agent.store.content import Content, label, stamp
from podman_agent.store.gc import oldest_images
from podman_agent.store.usage import usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podman_agent.store.gc import Outcome, Policy
    from podman_agent.store.layout import Store

_ENGINES = frozenset(("podman", "buildah", "skopeo"))


def at_work(proc: Path = Path("/proc")) -> bool:
    """Whether an engine runs in this container, see `oldest_at_work`."""
    return oldest_at_work(proc) is not None


def oldest_at_work(proc: Path = Path("/proc")) -> float | None:
    """When the oldest engine started that runs in this container (Unix seconds); None where none does.

    Pruning beside a build is podman's own classic race (https://github.com/containers/podman/issues/23671). A
    ``podman system service`` only waits while no client is connected: builds asked for by one run inside it.
    """
    busy = _connected(proc)
    found: list[float] = []
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (process / "cmdline").read_bytes().split(b"\0")
            name = (process / "comm").read_text(encoding="ascii", errors="replace").strip()
            if name in _ENGINES and not (_is_service(argv) and busy.isdisjoint(_sockets(process))):
                state, started = _state_and_start(process)
                if state not in "ZX":  # it has ended, though its parent has not looked yet
                    found.append(started)
    return min(found, default=None)


def _state_and_start(process: Path) -> tuple[str, float]:
    """The state of a process and when it started, rounded down (proc_pid_stat(5), proc_stat(5))."""
    fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    lines = (process.parent / "stat").read_text(encoding="ascii", errors="replace").splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return fields[0], booted + int(fields[19]) // os.sysconf("SC_CLK_TCK")


def _is_service(argv: list[bytes]) -> bool:
    """By position, for an image or a directory may be called so: only options, and their values, come before."""
    for before, word, after in zip(argv, argv[1:], argv[2:], strict=False):
        if word == b"system":
            return after == b"service"
        if not word.startswith(b"-") and not before.startswith(b"-"):
            return False
    return False


def _connected(proc: Path) -> set[str]:
    """Inodes of the connected ends of named sockets: state 3, SS_CONNECTED, in proc_net(5) unix."""
    with contextlib.suppress(OSError):
        rows = [line.split() for line in (proc / "net/unix").read_text(errors="replace").splitlines()]
        return {f"socket:[{row[6]}]" for row in rows if len(row) > 7 and row[5] == "03"}
    return set()


def _sockets(process: Path) -> set[str]:
    return {str(fd.readlink()) for fd in (process / "fd").iterdir() if fd.is_symlink()}


def clear_dead_builds(podman: str, graphroot: Path, since: float = 0.0) -> int:
    """Remove the containers of builds that have ended, whatever ended them.

    Podman removes them itself but when a signal ends it; then ``podman ps``, ``system df`` and all prunes are silent
    of them. Those of a build that runs now are younger than its process.

    Args:
        podman: The program.
        graphroot: The store that this container uses.
        since: Only those made since then (Unix seconds).

    Returns:
        How many were removed.
    """
    oldest = oldest_at_work()
    found = []
    with contextlib.suppress(DataError, OSError):
        for content in Content.all(graphroot):
            for identity, made in _build_containers(content):
                if since <= made and (oldest is None or made < oldest):
                    found.append(identity)
    return sum(bool(_podman(podman, "rm", "--force", identity)) for identity in found)


def _build_containers(content: Content) -> Iterator[tuple[str, float]]:
    for identity, record in content.containers.items():
        if content.within.mode(content.kind("containers") / identity / "userdata/buildah.json"):
            yield identity, stamp(record)


def dead_builds(store: Store) -> list[tuple[str, Path]]:
    """Containers that a build which failed or was killed left behind, each with the directory of what it wrote.

    A build's own container looks the same while it runs: those listed before no engine is `at_work` are dead.
    """
    found = []
    with contextlib.suppress(DataError):
        for content in Content.of(store):
            for identity, _ in _build_containers(content):
                found.append((identity, content.diff(content.containers[identity]["layer"])))
    return found


def collect(store: Store, policy: Policy, outcome: Outcome, podman: str) -> None:
    """Let podman remove what dead builds left, old unnamed images, and the oldest images over the budget.

    Args:
        store: The store that this container holds.
        policy: What may stay; the budget is compared with what this store alone uses.
        outcome: Gets what was done, or why nothing was.
        podman: The program.
    """
    outcome.skipped = ""
    trees = [store.path, store.graphroot, store.tmp] if store.adopted else [store.path]
    before = usage(trees, store.root)  # a walk, so it comes before the question
    dead = dead_builds(store)  # likewise: a build that starts after it has containers that are not listed
    if at_work():
        outcome.skipped = "in use by this pod, and a podman is at work"
        return
    for _, written in dead:  # first, because podman writes a record to remove one, and the volume may be full
        for name, _ in store.root.entries(written):
            store.root.remove(written / name)
    removed = [identity for identity, _ in dead if _podman(podman, "rm", "--force", identity)]
    if removed:
        outcome.done.append(f"removed {len(removed)} container{'s' if len(removed) > 1 else ''} of dead builds")
    pruned = _podman(podman, "image", "prune", "--force", f"--filter=until={int(policy.age)}s")
    if count := len(pruned.split()):
        outcome.done.append(f"removed {count} unnamed image{'s' if count > 1 else ''}")
    over = usage(trees, store.root) - policy.budget if policy.budget is not None else 0
    refused: set[str] = set()
    while over > 0 and not at_work():
        images = [i for _, chosen in oldest_images(store, over) for i in chosen if i["id"] not in refused]
        if not images:
            break
        for image in images:
            if _podman(podman, "rmi", *(image.get("names") or [image["id"]])):
                outcome.done.append(f"over budget: {label(image)}")
            refused.add(image["id"])
        over = usage(trees, store.root) - (policy.budget or 0)
    outcome.freed = max(0, before - usage(trees, store.root))


def _podman(podman: str, *args: str) -> str:
    """What podman printed, or nothing where it refused: an image of a container stays."""
    done = subprocess.run([podman, *args], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
