"""``podman-agent login``: log in without the password ever being an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.commands import registryoptions
from podman_agent.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import argparse

    from podman_agent.engine.engine import Engine
    from podman_agent.engine.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("registry", metavar="HOST[:PORT]")
    parser.add_argument("-u", "--username", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--password-stdin", action="store_true")
    source.add_argument("--password-file", type=Path, metavar="FILE")
    source.add_argument("--password-env", metavar="NAME", help="name of the variable that has it")
    registryoptions.add_access(parser)


def run(args: argparse.Namespace) -> int:
    """Log in; podman writes the credentials to its auth file."""
    password = _password(args)

    def work(engine: Engine, _progress: Progress) -> int:
        engine.login(args.registry, args.username, password)
        return 0

    args.progress = "lines"
    return registryoptions.with_engine(args, work)


def _password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        text = sys.stdin.read()
    elif args.password_env:
        if args.password_env not in os.environ:
            what = f"the variable {args.password_env} is not set"
            raise ConfigError(what, fix="--password-env takes a name, never the password")
        text = os.environ[args.password_env]
    else:
        try:
            text = args.password_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = f"cannot read the password from {args.password_file}"
            raise ConfigError(what, getattr(error, "strerror", "") or "") from error
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        what = "the password is empty"
        raise UsageError(what)
    return password
