"""How the command line reads: as docker's and kubectl's do, and an error of usage is one line with exit code 64."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from podman_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_HEADINGS = {"positional arguments": "Arguments", "options": "Options"}


class _Help(argparse.HelpFormatter):
    """docker's words and widths."""

    def __init__(self, prog: str, **more: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **more})

    def start_section(self, heading: str | None) -> None:
        heading = heading or ""
        super().start_section(_HEADINGS.get(heading, heading[:1].upper() + heading[1:]))

    def add_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: str | None = None
    ) -> None:
        """The options are below: here only what is not one."""
        if prefix is not None:  # argparse asks for the name of a subcommand
            super().add_usage(usage, actions, groups, prefix)
            return
        shown = [action for action in actions if not action.option_strings or action.required]
        optional = any(action.option_strings and not action.required for action in actions)
        text = usage
        if text is None:
            words = self._format_usage(None, shown, groups if not optional else [], "").split()
            text = " ".join([*words, *(["[OPTIONS]"] if optional else [])])
        super().add_usage(text.replace("%", "%%"), [], [], "Usage:  ")


class Parser(argparse.ArgumentParser):
    """A parser whose help reads like docker's, and whose errors are ours.

    Args:
        listing: The whole help, in place of what would be made of the arguments.
        more: As `argparse.ArgumentParser` takes them.
    """

    def __init__(self, *, listing: str = "", **more: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **more})
        self._listing = listing
        if self.description:
            self.description = self.description[:1].upper() + self.description[1:]

    def format_help(self) -> str:
        """Its text."""
        return f"{self._listing}\n" if self._listing else super().format_help()

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UsageError: Always.
        """
        what = f"{self.prog}: {message}"
        raise UsageError(what, fix=f"see {self.prog} --help")
