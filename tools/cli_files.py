"""Write the manual pages and the bash completion of podman-agent that the image has: ``python3 tools/cli_files.py``.

By argparse-manpage and shtab, from the command line's own parsers, into entrypoint/share.
"""

from __future__ import annotations

import sys
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage
from podman_agent import cli
from podman_agent.commands.parser import Parser

SHARE = Path(__file__).resolve().parent.parent / "entrypoint/share"


def files() -> dict[str, str]:
    """Path below `SHARE` -> text."""
    return {
        "bash-completion/podman-agent": shtab.complete(cli.parser(*cli.COMMANDS), shell="bash"),  # noqa: S604 - no shell is run
        "man/podman-agent.1": _main_page(),
        **{f"man/podman-agent-{name}.1": _page(name) for name in cli.COMMANDS},
    }


def main() -> int:
    """Write them."""
    for name, text in files().items():
        path = SHARE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def _page(name: str) -> str:
    text = cli.COMMANDS[name]
    parser = Parser(prog=f"podman-agent {name}", description=text)
    cli.module(name).add_arguments(parser)
    return _text(parser, f"podman-agent-{name}", text)


def _main_page() -> str:
    parser = Parser(prog="podman-agent", description="Podman in the pod that a Jenkins agent lands in.")
    parser.add_argument("--version", action="version", version="", help="print the version")
    text = _text(parser, "podman-agent", "podman in the pod that a Jenkins agent lands in")
    groups = "".join(
        f".SS {heading}\n" + "".join(f".TP\n.B podman\\-agent\\-{name}(1)\n{text}\n" for name, text in group.items())
        for heading, group in cli.GROUPS.items()
    )
    return f"{text}.SH COMMANDS\n{groups}"


def _text(parser: Parser, name: str, text: str) -> str:
    data = {"project_name": "podman-agent", "manual_title": "Podman in a Jenkins agent", "description": text}
    page = Manpage(parser, data)
    page.prog = name
    page.date = ""  # else today's
    return str(page).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
