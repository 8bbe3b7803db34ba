"""The ``podman-agent`` command: one table of subcommands, each in a module of its own.

A module named here has ``add_arguments(parser)`` and ``run(args) -> int``; it is imported only when
its command is called, so that ``podman-agent plan`` needs nothing but the standard library.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from podman_agent import __version__, spans
from podman_agent.commands.parser import Parser
from podman_agent.errors import exit_code_of
from podman_agent.hot import shim

if TYPE_CHECKING:
    import argparse

# heading of `podman-agent --help` -> command, whose module is of its name -> one line of help
GROUPS: dict[str, dict[str, str]] = {
    "In this pod": {
        "doctor": "what is wrong or could be better in this pod",
        "explain": "what a failed build's log means in a pod",
        "plan": "print what was decided for this pod, and why",
    },
    "Images": {
        "build": "build, tag, push and verify images",
        "push": "push images and verify their digests",
        "pull": "pull images, with retries",
        "copy": "copy an image from registry to registry",
        "login": "log in to a registry; no password in argv",
        "wait-registry": "wait until a registry answers",
    },
    "Cache volume": {
        "cache": "list, verify, warm, collect and remove the stores of a cache volume",
        "gc": "free space on the cache volume, safe while pods use it",
    },
    "Jenkins and Kubernetes": {
        "pod": "print a pod template for Kubernetes or Jenkins",
        "migrate": "a Jenkinsfile, pod or casc file without docker.sock, dind or kaniko",
    },
    "The agent itself": {
        "serve": "serve the Docker API on a socket, for when a client connects",
        "drain": "end builds and containers before the pod ends",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


def module(command: str) -> Any:
    """Import the module of a command."""
    return importlib.import_module(f"podman_agent.commands.{command.replace('-', '_')}")


def parser(*selected: str) -> argparse.ArgumentParser:
    """The command line.

    Args:
        selected: Commands whose modules are imported, to have their arguments in it.
    """
    made = Parser(prog="podman-agent", listing=_listing())
    made.add_argument("--version", action="version", version=f"podman-agent {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name in selected:
            module(name).add_arguments(sub)
    return made


def _listing() -> str:
    width = max(map(len, COMMANDS))
    groups = (
        "\n".join([f"{heading}:", *(f"  {name:<{width}}  {text}" for name, text in group.items())])
        for heading, group in GROUPS.items()
    )
    return "\n\n".join(
        (
            "Usage:  podman-agent COMMAND [OPTIONS]",
            "Podman in the pod that a Jenkins agent lands in",
            *groups,
            "Run 'podman-agent COMMAND --help' for more information on a command.",
        )
    )


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: Arguments without the program name; ``sys.argv[1:]`` when None.

    Returns:
        The exit code; `PodmanAgentError` is printed as one line on stderr and becomes its code.
    """
    shim.open_closed_streams()
    given = sys.argv[1:] if argv is None else argv

    def command() -> int:
        args = parser(*[a for a in given if a in COMMANDS][:1]).parse_args(given)
        with spans.span(f"podman-agent {args.command}"):
            return int(module(args.command).run(args))

    return exit_code_of(command, "podman-agent")


if __name__ == "__main__":
    sys.exit(main())
