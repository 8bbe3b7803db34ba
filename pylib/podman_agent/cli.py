"""The ``podman-agent`` command: one table of subcommands, each in a module of its own.

A module named here has ``add_arguments(parser)`` and ``run(args) -> int``; it is imported only when
its command is called, so that ``podman-agent plan`` needs nothing but the standard library.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from podman_agent import __version__, spans
from podman_agent.commands.parser import Parser
from podman_agent.errors import exit_code_of
from podman_agent.hot import shim

if TYPE_CHECKING:
    import argparse

# heading of `podman-agent --help` -> command -> (module, one-line help)
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "In this pod": {
        "doctor": ("podman_agent.commands.doctor", "what is wrong or could be better in this pod"),
        "explain": ("podman_agent.commands.explain", "what a failed build's log means in a pod"),
        "plan": ("podman_agent.commands.plan", "print what was decided for this pod, and why"),
    },
    "Images": {
        "build": ("podman_agent.commands.build", "build, tag, push and verify images"),
        "push": ("podman_agent.commands.push", "push images and verify their digests"),
        "pull": ("podman_agent.commands.pull", "pull images, with retries"),
        "copy": ("podman_agent.commands.copy", "copy an image from registry to registry"),
        "login": ("podman_agent.commands.login", "log in to a registry; no password in argv"),
        "wait-registry": ("podman_agent.commands.wait_registry", "wait until a registry answers"),
    },
    "Cache volume": {
        "cache": ("podman_agent.commands.cache", "list, verify, warm, collect and remove the stores of a cache volume"),
        "gc": ("podman_agent.commands.gc", "free space on the cache volume, safe while pods use it"),
    },
    "Jenkins and Kubernetes": {
        "pod": ("podman_agent.commands.pod", "print a pod template for Kubernetes or Jenkins"),
        "migrate": (
            "podman_agent.commands.migrate",
            "a Jenkinsfile, pod or casc file without docker.sock, dind or kaniko",
        ),
    },
    "The agent itself": {
        "serve": ("podman_agent.commands.serve", "serve the Docker API on a socket, for when a client connects"),
        "drain": ("podman_agent.commands.drain", "end builds and containers before the pod ends"),
    },
}
COMMANDS = {name: row for group in GROUPS.values() for name, row in group.items()}


def parser(*selected: str) -> argparse.ArgumentParser:
    """The command line.

    Args:
        selected: Commands whose modules are imported, to have their arguments in it.
    """
    made = Parser(prog="podman-agent", listing=_listing())
    made.add_argument("--version", action="version", version=f"podman-agent {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name in selected:
            importlib.import_module(module).add_arguments(sub)
    return made


def _listing() -> str:
    width = max(map(len, COMMANDS))
    groups = (
        "\n".join([f"{heading}:", *(f"  {name:<{width}}  {text}" for name, (_, text) in group.items())])
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
            return int(importlib.import_module(COMMANDS[args.command][0]).run(args))

    return exit_code_of(command, "podman-agent")


if __name__ == "__main__":
    sys.exit(main())
