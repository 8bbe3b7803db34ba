"""``podman-agent gc``: free space on the cache volume, in stores that no pod holds."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import UsageError, VolumeError
from podman_agent.pod import sizes, variables
from podman_agent.prepare import state
from podman_agent.store import gc, gc_held, held, layout, parts

if TYPE_CHECKING:
    import argparse

_AGE = re.compile(r"(\d+)([smhd])")


def volume_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all cache commands take."""
    default = state.volume_in_force()
    parser.add_argument("--volume", type=_there, default=default, help="the cache volume (default: %(default)s)")
    parser.add_argument("--key", help="only this cache key (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _there(text: str) -> Path:
    path = Path(text)
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where this user may not look
        what = f"--volume {text}"
        raise UsageError(what, "there is no such directory, or this user may not see it")
    return path


def check_readable(volume: Path) -> None:
    """Say in one line that this user may not look at the volume.

    Raises:
        VolumeError: It may not.
    """
    try:
        layout.keys(volume)
    except OSError as error:
        what = f"cannot read the cache volume at {error.filename or volume}"
        raise VolumeError(
            what, error.strerror or "", "run it as the user that owns it, or name another: --volume"
        ) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of garbage collection."""
    volume_arguments(parser)
    parser.add_argument("--budget", help="what each key may use on disk, such as 40G or 500Mi (default: no limit)")
    parser.add_argument(
        "--age", default="14d", help="stores and unnamed images unused for longer go, such as 36h or 14d"
    )
    parser.add_argument(
        "--divide",
        action="store_true",
        help="move what pods that mount the volume whole have left to the parts (subPath) of its trust level and key",
    )


def parse_size(text: str) -> int:
    """Bytes of ``40G`` (decimal) or ``500Mi`` (binary).

    Raises:
        UsageError: The text is no size.
    """
    size = sizes.size_from(text)
    if size is None:
        what = f"{text!r} is not a size"
        raise UsageError(what, fix="write 40G, 500Mi or a number of bytes")
    return size


def parse_age(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``36h`` or ``14d``.

    Raises:
        UsageError: The text is no age.
    """
    match = _AGE.fullmatch(text.strip())
    if not match:
        what = f"{text!r} is not an age"
        raise UsageError(what, fix="write 90s, 30m, 36h or 14d")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _collect_own(volume: Path, policy: gc.Policy, outcomes: list[gc.Outcome]) -> None:
    """The stores that this very container holds, which the engine has to be asked about."""
    podman = shutil.which("podman")
    if not podman:
        return
    ours = {claim.store for claim in held.everywhere()}
    by_name = {outcome.store: outcome for outcome in outcomes}
    for store in layout.all_stores(volume):
        if store.name in ours and store.name in by_name:
            gc_held.collect(store, policy, by_name[store.name], podman)


def _collect_parts(volume: Path, policy: gc.Policy, key: str | None) -> list[gc.Outcome]:
    """What pods of the templates have on a volume that this pod alone mounts whole."""
    outcomes = []
    for part in parts.parts(volume):
        found = gc.collect(part.path, policy, key)
        for outcome in found:
            outcome.store = f"{part.name}: {outcome.store}"
            outcome.error = outcome.error.replace(str(part.path), f"{volume}/{part.name}")
        outcomes += found
    return outcomes


def run(args: argparse.Namespace) -> int:
    """Collect, and say what was freed."""
    policy = gc.Policy(
        budget=parse_size(args.budget) if args.budget else None,
        age=parse_age(args.age),
        limit=variables.CACHE_STORES.value(os.environ),
    )
    check_readable(args.volume)
    try:
        divided = parts.divide(args.volume) if args.divide else []
        outcomes = gc.collect(args.volume, policy, args.key)
        _collect_own(args.volume, policy, outcomes)
        outcomes = [*divided, *outcomes, *_collect_parts(args.volume, policy, args.key)]
    except OSError as error:
        what = f"cannot collect garbage on {args.volume}"
        raise VolumeError(what, error.strerror or "", "run it as the user that owns the stores") from error
    if args.json:
        print(json.dumps([o.as_json() for o in outcomes], indent=1))
    for outcome in () if args.json else outcomes:
        did = ", ".join(outcome.done) or outcome.error or outcome.skipped or "nothing to do"
        print(f"{outcome.store}: {did}" + (f" ({sizes.size_text(outcome.freed)} freed)" if outcome.done else ""))
    if not args.json:
        print(f"freed {sizes.size_text(sum(o.freed for o in outcomes))} on {args.volume}")
    failed = [o for o in outcomes if o.error]
    if failed:
        what = f"cannot collect garbage in {', '.join(o.store for o in failed)}"
        raise VolumeError(what, failed[0].error, "make room, or run it as the user that owns the stores")
    return 0
