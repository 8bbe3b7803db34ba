"""``podman-agent serve``: the Docker API on /var/run/docker.sock, for when a client connects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from podman_agent import planfile
from podman_agent.docker import socket
from podman_agent.docker.call import Call
from podman_agent.errors import EngineMissingError
from podman_agent.prepare import state

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``serve``."""
    parser.add_argument("--socket", default=socket.PATH, help="where (default: %(default)s)")
    parser.add_argument(
        "--idle",
        type=int,
        default=socket.IDLE,
        metavar="SECONDS",
        help="stop podman's service after this long without a client (default: %(default)s)",
    )
    parser.add_argument("--background", action="store_true", help="return once clients can connect")


def run(args: argparse.Namespace) -> int:
    """Listen in the foreground, or leave a listener behind.

    Raises:
        EngineMissingError: There is no podman.
    """
    hot = planfile.load() or state.ensure()
    if "podman" not in hot.programs:
        what = "podman is not installed"
        raise EngineMissingError(what, fix="install the podman package")
    call = Call(hot.programs["podman"], [*hot.flags], {**hot.environment, **os.environ}, [])
    if args.background or socket.answers(args.socket):
        socket.ensure(call, args.socket, args.idle)
    else:
        socket.serve(call, args.socket, args.idle)
    return 0
