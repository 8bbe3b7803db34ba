"""What runs leave: two at once keep out of each other's way, and one that was killed leaves nothing to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import outer

if TYPE_CHECKING:
    from pathlib import Path

RUN = """import sys, outer
with outer.scratch("test") as path:
    (path / "large").write_text("x")
    print(path, flush=True)
    sys.stdin.readline()
"""


def start(cache: Path, script: str = RUN) -> tuple[subprocess.Popen[str], str]:
    """A run with a scratch directory; gives its first line."""
    env = {k: v for k, v in os.environ.items() if k != "JPA_NAME"}
    env |= {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(outer.ROOT / "tools")}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_killed_run_leaves_nothing_to_the_next_and_one_that_lives_keeps_all(tmp_path: Path) -> None:
    killed, left = start(tmp_path)
    killed.kill()
    killed.communicate()
    lives, kept = start(tmp_path)
    also, more = start(tmp_path)
    directory = tmp_path / "jenkins-podman-agent"
    assert {str(path) for path in directory.iterdir()} == {kept, more, str(directory / "runs")}
    assert left not in (kept, more)
    for process in (lives, also):
        process.communicate("\n")
        assert process.returncode == 0


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """`nohup make demo` outlives its terminal."""
    script = (
        "import os, signal, runs; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with runs.signals_as_exceptions(): os.kill(os.getpid(), signal.SIGHUP); print('on', flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(outer.ROOT / "tools")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "on\n")
