"""``podman-agent copy``: copy an image with all its platforms from registry to registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.commands import registryoptions

if TYPE_CHECKING:
    import argparse

    from podman_agent.engine.engine import Engine
    from podman_agent.engine.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="registry/team/image:tag or @digest")
    parser.add_argument("destination", metavar="DESTINATION")
    registryoptions.add_access(parser)
    registryoptions.add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Copy; prints name@digest of the copy on stdout."""

    def work(engine: Engine, _progress: Progress) -> int:
        result = engine.copy(args.source, args.destination)
        print(f"{result.destination}@{result.digest}")
        return 0

    return registryoptions.with_engine(args, work)
