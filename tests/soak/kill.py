"""Kill the whole container at random moments, again and again, and see what the cache is worth.

    kill.py --kills 1000 --mode claim|plain [--full] [--minutes M] [--shape user-1000] --work DIR

Each pod first builds on the base image and compares every byte of the result (this is the check of what
the kill before it left), then builds, pulls, pushes and commits until it is killed. Each third pod is killed right
after its start, in the midst of the claim; half of these find all stores taken, and so make one and link images.
At the end the volume is verified, collected, and its size compared with a volume that saw the same without kills.
``--full`` puts the volume on a small ext4 of its own that other writes fill at random moments. ``--shape`` takes
pods of a shape of tests/pods/shapes.py, in which the image's own shim claims, instead of privileged ones.
Prints one JSON object; exits 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import agents
from podman_agent.store import gc, layout, removal, usage
from podman_agent.store.beneath import Root
from podman_agent.store.content import Content
from podman_agent.store.locks import locked
from podman_agent.store.verify import verify

sys.path.append(str(Path(__file__).parents[1]))

from pods.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONGEST_LIFE = 3.0
CLAIM = 0.4  # seconds within which a claim with a warm start is over, Python's own start included
MOST_STORES = 2  # each more has records and directories of its own, and the sizes are compared


def kill_loop(
    volume: Path,
    address: str,
    *,
    mode: str,
    kills: int,
    seconds: float,
    options: Sequence[str] = ("--privileged",),
    before_kill: Callable[[], None] = lambda: None,
    after_kill: Callable[[], None] = lambda: None,
) -> tuple[int, list[str], list[str]]:
    """Run pods one after another, each killed within `LONGEST_LIFE` seconds of its check.

    Returns:
        Kills done, checks that failed, and failures of the load between check and kill.
    """
    failures: list[str] = []
    load: list[str] = []
    end = time.monotonic() + seconds
    done = 0
    while done < kills and time.monotonic() < end:
        early = done % 3 == 2
        with taken(volume, all_of_them=early and done % 2 == 1):
            pod = agents.Worker(volume, address, mode, "check-then-load", options=options)
            timer: threading.Timer | None = None
            lines = pod.lines()
            if early:
                timer = killed_while_it_claims(pod, lines)
        for line in lines:
            word, _, rest = line.partition(" ")
            if timer:
                continue
            if word == "CHECKED" or (word == "FAILED" and not rest.startswith("load:")):
                if word == "FAILED":
                    failures.append(f"after {done} kills: {rest}")
                    print(failures[-1], file=sys.stderr, flush=True)
                timer = threading.Timer(random.uniform(0, LONGEST_LIFE), pod.kill)
                timer.start()
                before_kill()
            elif word == "FAILED":
                load.append(rest)
        pod.wait()
        after_kill()
        if timer is None:
            failures.append(f"after {done} kills: the pod did not come to its check")
        done += 1
        if done % 50 == 0:
            print(f"{done} kills, {len(failures)} failures", file=sys.stderr, flush=True)
    return done, failures, load


def killed_while_it_claims(pod: agents.Worker, lines: Iterator[str]) -> threading.Timer:
    """Kill a pod within the time its claim takes, and wait until it is dead."""
    next((line for line in lines if line == "STARTED"), None)
    timer = threading.Timer(random.uniform(0, CLAIM), pod.kill)
    timer.start()
    for _ in lines:
        continue
    return timer


@contextlib.contextmanager
def taken(volume: Path, *, all_of_them: bool) -> Iterator[None]:
    """Hold all stores, as other pods would; the ones that were made for it go when there are too many."""
    with contextlib.ExitStack() as held:
        stores = list(layout.all_stores(volume)) if all_of_them else []
        for store in stores[MOST_STORES:]:
            gc.remove_store(store)
        for store in stores[:MOST_STORES]:
            held.enter_context(locked(store))
        yield


class Filler:
    """Fills a volume up to the last megabytes, and makes the space again."""

    def __init__(self, volume: Path) -> None:
        self.file = volume / "filler"

    def fill(self) -> None:
        """Leave between nothing and 8 MB, after between 0 and 2 seconds."""
        time.sleep(random.uniform(0, 2))
        stat = os.statvfs(self.file.parent)
        size = max(stat.f_bavail * stat.f_frsize - random.randrange(8 << 20), 1)
        with self.file.open("wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, size)

    def free(self) -> None:
        """Make the space again."""
        self.file.unlink(missing_ok=True)


def small_volume(path: Path) -> None:
    """Mount an ext4 of 400 MB of its own at `path`; gone with this process's mount namespace."""
    image = path.with_suffix(".ext4")
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(path)], check=True)


def unkilled(volume: Path, address: str, mode: str, options: Sequence[str] = ("--privileged",)) -> None:
    """One pod that does the same work and ends by itself, for the size to compare with."""
    pod = agents.Worker(volume, address, mode, "mixed", "8", options=options)
    for _ in pod.lines():
        pass
    pod.wait()


def damage(volume: Path) -> list[str]:
    """Everything `verify` finds in all stores of a volume, the plain one too."""
    roots = {s.graphroot for s in layout.all_stores(volume)} | {volume / "storage"}
    return [f"{d.kind} {d.id[:12]}: {d.why}" for r in roots if r.is_dir() for d in verify(r).damage]


def keep_only_base(volume: Path) -> None:
    """Drop work images, so that sizes compare like with like."""
    for store in layout.all_stores(volume):
        with locked(store) as free:
            assert free, f"{store.name} is still locked"
            for content in Content.all(store.graphroot):
                names = {i: r.get("names") or [] for i, r in content.images.items()}
                drop = [i for i, n in names.items() if not any("soak/base" in x for x in n)]
                gc.drop_images(store, content, drop)
        removal.empty_trash(store)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--mode", choices=("claim", "plain"), default="claim")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--shape", choices=SHAPES)
    args = parser.parse_args()
    options = SHAPES[args.shape].options if args.shape else ("--privileged",)
    mode = "agent" if args.shape else args.mode
    if args.full and "PRIVATE_MOUNTS" not in os.environ:
        os.execvpe("unshare", ["unshare", "-m", sys.executable, *sys.argv], {**os.environ, "PRIVATE_MOUNTS": "1"})
    args.work.mkdir(parents=True, exist_ok=True)
    name = "-".join(part for part in (args.mode, args.shape, "full" if args.full else "") if part)
    volume, twin = args.work / f"volume-{name}", args.work / f"twin-{name}"
    for path in (volume, twin):
        removal.remove(path)
        path.mkdir()
        path.chmod(0o777)
    filler: dict[str, Callable[[], None]] = {}
    if args.full:
        small_volume(volume)
        volume.chmod(0o777)
        filler = {"before_kill": Filler(volume).fill, "after_kill": Filler(volume).free}
    started = time.monotonic()
    with agents.registry(args.work) as registry:
        kills, failures, load = kill_loop(
            volume,
            registry.address,
            mode=mode,
            kills=args.kills,
            seconds=60 * args.minutes,
            options=options,
            **filler,
        )
        unkilled(twin, registry.address, mode, options)
    found = damage(volume)
    before = usage.usage([volume], Root(volume))
    outcomes = gc.collect(volume, gc.Policy()) if args.mode == "claim" else []
    result = {
        "mode": name,
        "kills": kills,
        "seconds": round(time.monotonic() - started),
        "failed_checks": len(failures),
        "failures": failures[:20],
        "failed_operations_between": len(load),
        "between": sorted(set(load))[:20],
        "damage": found,
        "bytes_before_gc": before,
        "bytes_after_gc": usage.usage([volume], Root(volume)),
        "gc": [o.as_json() for o in outcomes],
    }
    if args.mode == "claim":
        for path in (volume, twin):
            keep_only_base(path)
        with contextlib.suppress(ZeroDivisionError):
            killed, never = (usage.usage([path], Root(path)) for path in (volume, twin))
            result["size_against_never_killed"] = round(killed / never, 4)
    print(json.dumps(result, indent=1))
    return 1 if failures or found else 0


if __name__ == "__main__":
    sys.exit(main())
