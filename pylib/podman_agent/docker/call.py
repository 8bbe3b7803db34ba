"""One docker call: how podman is started for it, as this process or as a child."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from typing import NoReturn


class Call(NamedTuple):
    """What the user typed and what podman is started with.

    Attributes:
        podman: Absolute path of the real podman.
        flags: Global flags that go right after argv[0].
        env: The complete environment for podman.
        args: What the user typed after ``docker``.
    """

    podman: str
    flags: list[str]
    env: dict[str, str]
    args: list[str]

    def argv(self, *args: str) -> list[str]:
        """The argv of podman for these arguments."""
        return [self.podman, *self.flags, *args]

    def become(self, *args: str) -> NoReturn:
        """Replace this process by podman, so that signals, terminal and exit code are its own."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(self.podman, self.argv(*args), self.env)  # noqa: S606

    def run(self, *args: str, quiet: bool = False, out: int | None = None, stderr: int | None = None) -> int:
        """Run podman as a child with this process's streams; SIGTERM, SIGINT and SIGHUP reach it.

        Args:
            args: Arguments of podman.
            quiet: Throw stdout away.
            out: Where its stdout goes instead of ours.
            stderr: Where its stderr goes instead of ours.

        Returns:
            Podman's exit code, or 128 + N when signal N ended it.
        """
        import subprocess  # noqa: PLC0415  (5 ms that a call which only execs need not pay)

        sys.stdout.flush()
        out = subprocess.DEVNULL if quiet else out
        argv = self.argv(*args)
        return _wait(lambda: subprocess.Popen(argv, env=self.env, stdout=out, stderr=stderr))

    def read(self, *args: str, stdin: bytes | None = None) -> tuple[int, str]:
        """Run podman and return its exit code and its stdout; stderr stays ours."""
        import subprocess  # noqa: PLC0415

        done = subprocess.run(self.argv(*args), env=self.env, stdout=subprocess.PIPE, input=stdin, check=False)
        return done.returncode, done.stdout.decode(errors="surrogateescape")

    def succeeds(self, *args: str) -> bool:
        """Whether podman exits with 0; its output is thrown away."""
        import subprocess  # noqa: PLC0415

        null = subprocess.DEVNULL
        done = subprocess.run(self.argv(*args), env=self.env, stdout=null, stderr=null, check=False)
        return done.returncode == 0


def _wait(start: Callable[[], subprocess.Popen[bytes]]) -> int:
    import signal  # noqa: PLC0415

    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in handled}
    try:
        child = start()
        for number in early:
            child.send_signal(number)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def is_mount_point(path: str) -> bool:
    """Whether something is mounted right there; `Path.is_mount` knows directories only before Python 3.12."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        return any(line.split()[4] == os.path.realpath(path) for line in file)


def note(text: str) -> None:
    """Tell the user one thing on stderr; stdout belongs to the command."""
    print(f"docker: {text}", file=sys.stderr)


def first_failure(codes: Iterator[int] | Sequence[int]) -> int:
    """The first exit code that is not 0; what comes after it is not run when `codes` is lazy."""
    return next((code for code in codes if code), 0)
