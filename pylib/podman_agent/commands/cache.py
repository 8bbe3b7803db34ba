"""``podman-agent cache ls|gc|verify|rm|warm``: look after the stores on a cache volume."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from podman_agent.commands import gc as gc_command
from podman_agent.errors import ConfigError, DataError, MismatchError, UsageError, VolumeError
from podman_agent.pod import sizes
from podman_agent.prepare import state
from podman_agent.store import clock, gc, layout, locks, parts, record, sealed, usage
from podman_agent.store.beneath import Root
from podman_agent.store.content import Content
from podman_agent.store.space import space
from podman_agent.store.verify import verify
from podman_agent.store.warm import warm

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from podman_agent.store.layout import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("ls", help="the stores, who holds them and how big they are")
    checking = actions.add_parser("verify", help="prove every layer of every image by its digest")
    removing = actions.add_parser("rm", help="remove stores that no pod holds")
    warming = actions.add_parser("warm", help="pull base images once, for all stores of a key")
    for action in (listing, checking, removing, warming):
        gc_command.volume_arguments(action)
    gc_command.add_arguments(actions.add_parser("gc", help="free space (the same as podman-agent gc)"))
    for action in (checking, removing):
        action.add_argument("stores", nargs="*", metavar="STORE", help="such as default/0")
    removing.add_argument("--all", action="store_true", help="every unclaimed store (of the key)")
    warming.add_argument("images", nargs="+", metavar="IMAGE")


def run(args: argparse.Namespace) -> int:
    """Do the action."""
    gc_command.check_readable(args.volume)
    actions = {"ls": _list, "verify": _verify, "rm": _remove, "warm": _warm, "gc": gc_command.run}
    return actions[args.action](args)


@dataclass
class Row:
    """One store as ``cache ls`` shows it; bytes are what the records of its layers add up to."""

    store: str
    state: str
    owner: str
    used: float
    driver: str
    flavour: str
    images: int
    layers: int
    bytes: int
    graphroot: str


def _row(store: Store, now: float) -> Row:
    state = store.state
    with locks.locked(store) as free:
        held = not free
    try:
        contents = Content.of(store)
        word = "claimed" if held else "free"
    except DataError:
        contents, word = [], "torn"
    except OSError as error:
        contents, word = [], record.FOREIGN if isinstance(error, PermissionError) else "odd"
    return Row(
        store=store.name,
        state="by pod" if not store.provable else word,
        owner=state.owner,
        used=round(now - state.claimed) if state.claimed else -1,
        driver="+".join(c.driver for c in contents),
        flavour=state.flavour,
        images=sum(len(c.images) for c in contents),
        layers=sum(len(c.layers) for c in contents),
        bytes=sum(r.get("diff-size") or 0 for c in contents for r in c.layers.values()),
        graphroot=str(store.graphroot),
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns with two spaces between them."""
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (header, *rows))
    return "\n".join(lines)


def _list(args: argparse.Namespace) -> int:
    rows = [_row(store, clock.now()) for store in layout.all_stores(args.volume, args.key)]
    for part in parts.parts(args.volume):
        for row in [_row(store, clock.now()) for store in layout.all_stores(part.path, args.key)]:
            graphroot = row.graphroot.replace(str(part.path), f"{args.volume}/{part.name}")
            rows.append(replace(row, store=f"{part.name}: {row.store}", graphroot=graphroot))
    for key in layout.foreign_keys(args.volume):
        print(f"podman-agent: cache key {key} is {record.FOREIGN}: not listed", file=sys.stderr)
    if args.json:
        print(json.dumps([asdict(r) for r in rows], indent=1))
        return 0
    cells = [
        [
            *(r.store, r.state, r.owner or "-", sizes.age_text(r.used) if r.used >= 0 else "never"),
            *(r.driver or "-", str(r.images), str(r.layers), sizes.size_text(r.bytes)),
        ]
        for r in rows
    ]
    print(table(["STORE", "STATE", "LAST OWNER", "LAST CLAIM", "DRIVER", "IMAGES", "LAYERS", "SIZE"], cells))
    room = space(args.volume)
    print(f"{args.volume}: {room.text}; gc could free about {sizes.size_text(usage.could_free(args.volume))}")
    return 0


def _chosen(args: argparse.Namespace) -> list[Store]:
    found = {store.name: store for store in layout.all_stores(args.volume, args.key)}
    unknown = [name for name in args.stores if name not in found]
    if unknown:
        what = f"no cache store {unknown[0]} on {args.volume}"
        raise ConfigError(what, fix=f"there are: {', '.join(found) or 'none'}")
    return [found[name] for name in args.stores] if args.stores else list(found.values())


def _verify(args: argparse.Namespace) -> int:
    roots = {store.name: store.graphroot for store in _chosen(args)}
    if not args.stores:
        for key in [layout.check_key(args.key)] if args.key else layout.keys(args.volume):
            generations = layout.sealed_generations(args.volume / layout.HOME / key)
            roots |= {f"{key}/sealed/{number}": path for number, path in generations}
    volume = Root(args.volume)
    reports = {name: verify(root, volume) for name, root in roots.items()}
    if args.json:
        print(json.dumps({name: report.as_json() for name, report in reports.items()}, indent=1))
    else:
        for name, report in reports.items():
            size = sizes.size_text(report.size)
            print(f"{name}: {report.images} images, {report.layers} layers, {size} proved")
            for word, findings in (("DAMAGED", report.damage), ("unproven", report.unproven)):
                for d in findings:
                    print(f"  {word} {d.kind} {d.id[:12]}: {d.why} ({', '.join(d.images)})")
    damaged = [name for name, report in reports.items() if report.damage]
    if damaged:
        what = f"cache store {', '.join(damaged)} is damaged"
        raise MismatchError(what, fix=f"podman-agent cache rm {damaged[0]}, or podman rmi -f the images named")
    return 0


def _remove(args: argparse.Namespace) -> int:
    if bool(args.stores) == args.all:
        what = "podman-agent cache rm"
        raise UsageError(what, "name stores, or say --all", "podman-agent cache ls lists them")
    generations: dict[str, Path] = {}
    for key in [layout.check_key(args.key)] if args.key else layout.keys(args.volume):
        generations |= sealed.names(args.volume / layout.HOME / key)
    chosen = [name for name in args.stores if name in generations]
    args.stores = [name for name in args.stores if name not in generations]
    outcomes = [gc.remove_sealed(name, generations[name]) for name in chosen]
    if args.stores or args.all:
        outcomes += [gc.remove_store(store) for store in _chosen(args)]
    if args.json:
        print(json.dumps([o.as_json() for o in outcomes], indent=1))
    else:
        for outcome in outcomes:
            print(f"{outcome.store}: {outcome.skipped or f'{sizes.size_text(outcome.freed)} freed'}")
    held = [o.store for o in outcomes if o.skipped]
    if held and args.stores:
        what = f"not removed: {', '.join(held)}"
        why = next(o.skipped for o in outcomes if o.skipped)
        why = "a pod is using it" if why.startswith("in use") else why
        raise ConfigError(what, why, "wait for the pod to end, or see docs/how-to/cache.md")
    return 0


def _warm(args: argparse.Namespace) -> int:
    state.ensure()
    try:
        number, count = warm(args.volume, args.key, args.images, os.environ, state.stored("storage.conf"))
    except OSError as error:
        room = _room(args.volume)
        what = f"cannot warm the cache on {args.volume}"
        raise VolumeError(what, f"{error.strerror}{room}", "podman-agent gc frees space") from error
    if args.json:
        print(json.dumps({"generation": number, "images": count}))
    else:
        print(f"{layout.check_key(args.key)}/sealed/{number}: {count} images, linked into each store at its next claim")
    return 0


def _room(volume: Path) -> str:
    try:
        return f", {space(volume).text}"
    except OSError:
        return ""
