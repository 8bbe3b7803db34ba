"""``podman-agent wait-registry``: wait until a registry answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.commands import registryoptions
from podman_agent.registry.client import Registry

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("registry", metavar="HOST[:PORT]")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS")
    registryoptions.add_access(parser)


def run(args: argparse.Namespace) -> int:
    """Wait; prints `ready` or `auth required` and the seconds on stdout."""
    registry = Registry(args.registry, registryoptions.access(args))
    seconds = registry.wait(args.timeout)
    print(f"{args.registry} {registry.ping()} after {seconds:.1f} s")
    return 0
