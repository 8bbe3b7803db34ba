"""Builds and prunes take turns in one container: a prune takes layers from under a build that is about to use them.

Docker's daemon keeps the two apart; podman's build fails with `layer not known`
(https://github.com/containers/podman/issues/23671). Each build locks one byte of a file, and a prune all of them, so
that it waits for the builds that run, and those that start meanwhile wait for it. These locks belong to a process and
survive its exec (fcntl_locking(2)): they end with podman, or with its parent here. Builtin modules only, see `shim`.
"""

import posix
import sys

from podman_agent.planfile import state_directories

TYPE_CHECKING = False  # `typing` would cost more than all of this
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

_SEEK_SET = 0
SECONDS = 600  # a prune gives way to builds that take longer
_BUILDS = frozenset(("build", "bud", "bake"))
_GROUPS = frozenset(("image", "buildx", "builder", "system"))


def take(verb: str, following: "list[str]") -> None:
    """Wait for this call's turn, which lasts as long as this process; ends the process where a prune cannot have one.

    Args:
        verb: The subcommand.
        following: What stands behind it.
    """
    word = following[0] if verb in _GROUPS and following else verb
    if word in _BUILDS:
        _wait(posix.getpid(), 1)
    elif word == "prune" and not _wait_for_builds():
        sys.stderr.write(
            f"podman-agent: nothing was pruned: builds of this pod have been at work for {SECONDS} s,"
            " and would have lost layers to it\n"
        )
        sys.exit(0)


def _wait(first: int, count: int) -> None:
    """Lock bytes of the file; where there is none to be had nobody is kept waiting."""
    for directory in state_directories():
        try:
            number = posix.open(f"{directory}/builds", posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW, 0o600)
        except OSError:
            continue
        posix.set_inheritable(number, True)
        posix.lseek(number, first, _SEEK_SET)
        try:
            posix.lockf(number, posix.F_LOCK, count)
        except TimeoutError:
            raise
        except OSError:  # a file system without locks
            return
        return


def _wait_for_builds() -> bool:
    def too_long(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        _wait(0, 0)
    except TimeoutError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return True
