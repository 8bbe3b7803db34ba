"""The ``podman-agent`` command: one table of subcommands, each in a module of its own.

A module named here has ``add_arguments(parser)`` and ``run(args) -> int``; it is imported only when
its command is called, so that ``podman-agent plan`` needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from podman_agent import __version__
from podman_agent.errors import UsageError, exit_code_of

if TYPE_CHECKING:
    from typing import NoReturn

# command -> (module, one-line help)
COMMANDS: dict[str, tuple[str, str]] = {
    "cache": ("podman_agent.commands.cache", "list, verify, warm, collect and remove the stores of a cache volume"),
    "gc": ("podman_agent.commands.gc", "free space on the cache volume, safe while pods use it"),
    "doctor": ("podman_agent.commands.doctor", "what is wrong or could be better in this pod"),
    "explain": ("podman_agent.commands.explain", "what a failed build's log means in a pod"),
    "plan": ("podman_agent.commands.plan", "print what was decided for this pod, and why"),
    "drain": ("podman_agent.commands.drain", "end builds and containers before the pod ends"),
    "serve": ("podman_agent.commands.serve", "serve the Docker API on a socket, for when a client connects"),
    "pod": ("podman_agent.commands.pod", "print a pod template for Kubernetes or Jenkins"),
    "migrate": ("podman_agent.commands.migrate", "a Jenkinsfile, pod or casc file without docker.sock, dind or kaniko"),
    "build": ("podman_agent.commands.build", "build, tag, push and verify images"),
    "push": ("podman_agent.commands.push", "push images and verify their digests"),
    "pull": ("podman_agent.commands.pull", "pull images, with retries"),
    "login": ("podman_agent.commands.login", "log in to a registry; no password in argv"),
    "wait-registry": ("podman_agent.commands.wait_registry", "wait until a registry answers"),
    "copy": ("podman_agent.commands.copy", "copy an image from registry to registry"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        what = f"{self.prog}: {message}"
        raise UsageError(what, fix=f"see {self.prog} --help")


def _parser(selected: str | None) -> argparse.ArgumentParser:
    parser = _Parser(prog="podman-agent", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--version", action="version", version=f"podman-agent {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name == selected:
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: Arguments without the program name; ``sys.argv[1:]`` when None.

    Returns:
        The exit code; `PodmanAgentError` is printed as one line on stderr and becomes its code.
    """
    given = sys.argv[1:] if argv is None else argv

    def command() -> int:
        args = _parser(next((a for a in given if a in COMMANDS), None)).parse_args(given)
        return int(importlib.import_module(COMMANDS[args.command][0]).run(args))

    return exit_code_of(command, "podman-agent")


if __name__ == "__main__":
    sys.exit(main())
