"""What a process without capabilities may do with its files from inside a user namespace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from podman_agent import ids

NOBODY = 65534


def as_nobody(*argv: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user without capabilities."""
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return subprocess.run([*drop, *argv], cwd="/", capture_output=True, text=True, check=False)


def test_what_overlay_leaves_with_mode_0_is_deleted_without_privilege(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(0o755)
    program = tmp_path / "ids.py"
    program.write_bytes(Path(ids.__file__).read_bytes())
    trees = []
    for name in ("plainly", "inside"):
        work = tmp_path / name / "tree/work"
        work.mkdir(parents=True)
        (work / "file").touch()
        for path in (work / "file", work, work.parent, work.parent.parent):
            os.chown(path, NOBODY, NOBODY)
        work.chmod(0)
        trees.append(work.parent)
    plainly, inside = trees
    assert as_nobody("rm", "-rf", plainly).returncode != 0
    done = as_nobody("/usr/bin/python3", "-IS", program, inside)
    assert done.returncode == 0, done.stderr
    assert not inside.exists()
    assert plainly.exists()


def test_whoever_has_the_owners_rights_stays_where_it_is() -> None:
    pid = os.getpid()
    assert ids.inside(os.getpid) == pid


def test_what_happened_inside_comes_back_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "foreign", lambda: True)
    assert ids.inside(os.getpid) != os.getpid()
    ids_here = Path("/proc/self/uid_map")
    assert ids.inside(ids_here.read_text) != ids_here.read_text()

    def fails() -> None:
        raise FileNotFoundError(2, "gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        ids.inside(fails)


def test_ranges_are_read_for_a_name_and_for_a_number(tmp_path: Path) -> None:
    table = tmp_path / "subuid"
    table.write_text("root:1:999\n0:100000:65536\nother:5:5\nroot:x:1\ntorn\n")
    assert ids.subordinate(str(table), 0) == [(1, 999), (100000, 65536)]
    assert ids.subordinate(str(tmp_path / "none"), 0) == []
