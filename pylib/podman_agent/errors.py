"""Errors as the reader meets them: one line, one exit code.

Exit codes follow sysexits.h where podman itself did not speak; when it did, its own code is kept.
None of them is 125, 126 or 127-from-a-container, which podman uses
(https://docs.podman.io/en/latest/markdown/podman-run.1.html#exit-status).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class PodmanAgentError(Exception):
    """Base of all errors this package raises on purpose.

    Args:
        what: What failed, in one clause.
        why: Why it failed in this pod; may be empty.
        fix: The pod field, variable or command to change; may be empty.
    """

    exit_code = 70  # EX_SOFTWARE

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        """The one line a user sees; line breaks inside any part are folded."""
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.fix:
            text += f"; {self.fix}"
        return " ".join(text.split())


class UsageError(PodmanAgentError):
    """An argument that makes no sense."""

    exit_code = 64  # EX_USAGE


class DataError(PodmanAgentError):
    """An input file (bake file, compose file, recorded facts) that is not what it should be."""

    exit_code = 65  # EX_DATAERR


class UnavailableError(PodmanAgentError):
    """A service (registry, controller, API socket) that cannot be reached."""

    exit_code = 69  # EX_UNAVAILABLE


class VolumeError(PodmanAgentError):
    """The cache volume is unwritable or full."""

    exit_code = 73  # EX_CANTCREAT


class TransientError(PodmanAgentError):
    """Still failing after every retry that made sense."""

    exit_code = 75  # EX_TEMPFAIL


class MismatchError(PodmanAgentError):
    """What arrived is not what was sent: a digest, a jar, a manifest."""

    exit_code = 76  # EX_PROTOCOL


class PodRefusalError(PodmanAgentError):
    """This pod cannot do it; `fix` names the line of the pod template that would allow it."""

    exit_code = 77  # EX_NOPERM


class ConfigError(PodmanAgentError):
    """A PODMAN_AGENT_* value, or a volume's state, that contradicts what is asked."""

    exit_code = 78  # EX_CONFIG


class EngineMissingError(PodmanAgentError):
    """There is no podman to run."""

    exit_code = 127


class EngineError(PodmanAgentError):
    """Podman ran and failed.

    Args:
        what: What failed, in one clause.
        why: Podman's own last error line.
        fix: What to change.
        returncode: Podman's exit code, kept as ours.
    """

    def __init__(self, what: str, why: str = "", fix: str = "", *, returncode: int = 125) -> None:
        super().__init__(what, why, fix)
        self.exit_code = returncode


def exit_code_of(command: Callable[[], int], speaker: str) -> int:
    """Run a command as a program does: every error is one line on stderr and an exit code.

    Args:
        command: What is to be done; returns an exit code.
        speaker: Who says the line.

    Returns:
        The command's own code, the error's, 141 where nobody reads stdout any more, 130 after Ctrl-C.
    """
    try:
        return command()
    except PodmanAgentError as error:
        print(f"{speaker}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
