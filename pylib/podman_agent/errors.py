"""Errors as the reader meets them: one line, one exit code.

Exit codes follow sysexits.h where podman itself did not speak; when it did, its own code is kept. What is refused in
docker's name ends as docker's own errors do, and a missing podman as a missing program does. `exit_codes` is the table.
"""

from __future__ import annotations

import errno
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

    Attributes:
        exit_code: What the process ends with.
        meaning: Of that code, for a table of them (`exit_codes`).
    """

    exit_code = 70  # EX_SOFTWARE
    meaning = "a fault of podman-agent itself"

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
    meaning = "an argument that makes no sense"


class DataError(PodmanAgentError):
    """An input file (bake file, compose file, recorded facts) that is not what it should be."""

    exit_code = 65  # EX_DATAERR
    meaning = "an input file that is not what it should be"


class UnavailableError(PodmanAgentError):
    """A service (registry, controller, API socket) that cannot be reached."""

    exit_code = 69  # EX_UNAVAILABLE
    meaning = "a service that cannot be reached"


class VolumeError(PodmanAgentError):
    """The cache volume is unwritable or full."""

    exit_code = 73  # EX_CANTCREAT
    meaning = "the volume is unwritable or full"


class TransientError(PodmanAgentError):
    """Still failing after every retry that made sense."""

    exit_code = 75  # EX_TEMPFAIL
    meaning = "still failing after every retry that made sense"


class MismatchError(PodmanAgentError):
    """What arrived is not what was sent: a digest, a jar, a manifest."""

    exit_code = 76  # EX_PROTOCOL
    meaning = "what arrived is not what was sent"


class PodRefusalError(PodmanAgentError):
    """This pod cannot do it; `fix` names the line of the pod template that would allow it."""

    exit_code = 77  # EX_NOPERM
    meaning = "this pod cannot do it; the line names the field of the pod template that would allow it"


class ConfigError(PodmanAgentError):
    """A PODMAN_AGENT_* value, or a volume's state, that contradicts what is asked."""

    exit_code = 78  # EX_CONFIG
    meaning = "an unknown `PODMAN_AGENT_*` variable or value, or one that contradicts the store"


class EngineMissingError(PodmanAgentError):
    """There is no podman to run."""

    exit_code = 127
    meaning = "podman (or a forced runtime) is not installed"


class RefusalError(PodmanAgentError):
    """Docker has it and podman has not: refused before podman was started; `fix` names what to use instead."""

    exit_code = 125  # https://docs.docker.com/reference/cli/docker/container/run/#exit-status: docker's own errors
    meaning = "docker has this and podman has not: the line, which starts with `docker:`, names what to use instead"


class EngineError(PodmanAgentError):
    """Podman ran and failed.

    Args:
        what: What failed, in one clause.
        why: Podman's own last error line.
        fix: What to change.
        returncode: Podman's exit code, kept as ours.
    """

    meaning = "podman's own code"

    def __init__(self, what: str, why: str = "", fix: str = "", *, returncode: int = 125) -> None:
        super().__init__(what, why, fix)
        self.exit_code = returncode


def exit_codes() -> tuple[tuple[int, str], ...]:
    """Every exit code of ours and what it means, in order; podman's own codes come through and are not here."""
    kinds = PodmanAgentError.__subclasses__()
    return tuple(sorted({(kind.exit_code, kind.meaning) for kind in kinds if kind is not EngineError}))


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)  # write(2), of a stream


def exit_code_of(command: Callable[[], int], speaker: str) -> int:
    """Run a command as a program does: every error is one line on stderr and an exit code.

    Args:
        command: What is to be done; returns an exit code.
        speaker: Who says the line.

    Returns:
        The command's own code, the error's, 1 where stdout takes no more, 141 where nobody reads it, 130 after Ctrl-C.
    """
    try:
        code = command()
        if sys.stdout:
            sys.stdout.flush()
    except PodmanAgentError as error:
        print(f"{speaker}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"{speaker}: cannot write to stdout: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code
