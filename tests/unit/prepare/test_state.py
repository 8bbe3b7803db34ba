"""Podman's run state in memory, in a mount namespace of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PYLIB = Path(__file__).parents[3] / "pylib"
SCRIPT = """
import os, sys
from pathlib import Path
from podman_agent.pod import facts
from podman_agent.prepare import state
runroot = Path(sys.argv[1])
{before}
state._mount_runroot(runroot)
(runroot / "mark").touch()
state._mount_runroot(runroot)
print(os.path.ismount(runroot), (runroot / "mark").exists(), facts.file_system(runroot))
"""


def run(runroot: Path, before: str = "") -> list[str]:
    script = SCRIPT.format(before=before)
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", script, str(runroot)]
    env = {**os.environ, "PYTHONPATH": str(PYLIB)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()


def test_it_is_mounted_once_and_kept(tmp_path: Path) -> None:
    """A plan made again, under other overrides, finds the mounts of the first."""
    assert run(tmp_path / "containers/storage") == ["True", "True", "tmpfs"]
    assert list((tmp_path / "containers/storage").iterdir()) == []


def test_a_directory_that_podman_uses_already_stays_as_it_is(tmp_path: Path) -> None:
    """Whoever called podman by its full path before the first plan has mounts there."""
    mounted, *_ = run(tmp_path / "storage", "runroot.mkdir(); (runroot / 'overlay').mkdir()")
    assert mounted == "False"
    assert (tmp_path / "storage/overlay").is_dir()
