"""What a process without capabilities may do with its files from inside a user namespace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from podman_agent.pod import ids

NOBODY = 65534


def as_nobody(*argv: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user without capabilities."""
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return subprocess.run([*drop, *argv], cwd="/", capture_output=True, text=True, check=False)


def test_what_overlay_leaves_with_mode_0_is_deleted_without_privilege(tmp_path: Path, program: Path) -> None:
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
    done = as_nobody("/usr/bin/python3", "-IS", "-c", ids.deleting(program), inside)
    assert done.returncode == 0, done.stderr
    assert not inside.exists()
    assert plainly.exists()


def test_whoever_has_the_owners_rights_stays_where_it_is() -> None:
    pid = os.getpid()
    assert ids.inside(os.getpid) == pid


PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from podman_agent.pod import ids
here = open("/proc/self/uid_map").read()
print("moved", ids.inside(lambda: open("/proc/self/uid_map").read()) != here, "foreign", ids.foreign())
try:
    ids.inside(lambda: os.stat("/gone"))
except FileNotFoundError as error:
    print("raised", error.filename)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the package that everybody may read."""
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(0o755)
    package = Path(ids.__file__).parents[1]
    for name in ("__init__.py", "pod/__init__.py", "pod/capabilities.py", "pod/ids.py"):
        copy = tmp_path / package.name / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((package / name).read_bytes())
    return tmp_path


def test_what_happened_inside_comes_back_out(program: Path) -> None:
    done = as_nobody("/usr/bin/python3", "-IS", "-c", PROGRAM, program)
    assert done.stdout.splitlines() == ["moved True foreign True", "raised /gone"], done.stderr


@pytest.mark.parametrize("capabilities", ["-all,+dac_override,+fowner", "-all,+dac_override"])
def test_rights_over_all_files_are_not_given_up_for_a_namespace_of_one_id(program: Path, capabilities: str) -> None:
    """As the CronJob of gc has them: no range of ids can be mapped with them."""
    drop = ("setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}")
    done = subprocess.run(
        [*drop, "/usr/bin/python3", "-IS", "-c", PROGRAM, program],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    foreign = "fowner" not in capabilities
    assert done.stdout.splitlines() == [f"moved False foreign {foreign}", "raised /gone"], done.stderr


def test_ranges_are_read_for_a_name_and_for_a_number(tmp_path: Path) -> None:
    table = tmp_path / "subuid"
    table.write_text("root:1:999\n0:100000:65536\nother:5:5\nroot:x:1\ntorn\n")
    assert ids.subordinate(str(table), 0) == [(1, 999), (100000, 65536)]
    assert ids.subordinate(str(tmp_path / "none"), 0) == []
