"""Whether mypy names a wrong value of a closed set: each one in the sources is changed.

    python3 tools/mutants.py [MODULE.py ...]

Prints the survivors, as FILE:LINE VALUE, and how many were tried; ends with 1 when there is one. Some minutes for all
of `ROOMS`; by hand, since it only tells of the sources themselves. Needs the venv of `make lint`.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "pylib"))

from podman_agent.pod import capabilities, values  # noqa: E402 - the tree this file is in

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path("pylib/podman_agent")
# where these values mean what the types say; elsewhere "host" and "docker" are words of docker's command line
ROOMS = ("pod", "plan", "prepare", "store/settings.py", "store/locks.py", "jenkins/trust.py", "jenkins/pod.py")

# words of something else in these modules: of the kernel, of Kubernetes, of a table for people
OTHER_WORDS = {
    "pod/facts.py": {"btrfs", "zfs", "systemd"},
    "pod/ids.py": {"newuidmap"},
    "pod/trials.py": {"none", "overlay"},
    "pod/variables.py": {"none"},
    "plan/advice.py": {"none", "podman"},
    "plan/reference.py": {"host"},
    "prepare/trial_build.py": {"podman"},
    "store/locks.py": {"btrfs", "zfs", "overlay"},
    "jenkins/trust.py": {"privileged"},
    "jenkins/pod.py": {"none", "podman", "v1"},
}
DEFINITIONS = "pod/values.py"  # what only users name is held by the generated tables of the documentation


def closed() -> set[str]:
    """Every value of every closed set."""
    types = [value for name, value in vars(values).items() if name[0].isupper()]
    found: set[Any] = set().union(*(get_args(kind) for kind in [*types, capabilities.Capability]))
    return {value for value in found if isinstance(value, str) and not value.isdigit() and value}


def sites(path: Path) -> Iterator[ast.Constant]:
    """Each text in a module that is such a value, whole, and means one."""
    known = closed() - next((words for name, words in OTHER_WORDS.items() if path.match(f"podman_agent/{name}")), set())
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in known and id(node) not in parts:
            yield node


def mutated(text: str, nodes: list[ast.Constant]) -> str:
    """The module with one letter more in each of these values."""
    lines = text.encode().splitlines(keepends=True)
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        at, row = (node.end_col_offset or 0) - 1, node.lineno - 1
        lines[row] = lines[row][:at] + b"x" + lines[row][at:]
    return b"".join(lines).decode()


def named(tree: Path, path: Path) -> tuple[bool, set[int]]:
    """Whether mypy finds anything at all, and the lines of this module it names."""
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--hide-error-context", "-p", "podman_agent"]
    done = subprocess.run(mypy, cwd=tree, check=False, capture_output=True, text=True)
    lines = (line.split(":") for line in done.stdout.splitlines() if line.startswith(f"{path}:"))
    return done.returncode != 0, {int(line[1]) for line in lines}


def survivors(tree: Path, path: Path) -> tuple[int, list[ast.Constant]]:
    """Try every value of a module: all at once, then each alone whose line mypy did not name, or shares a line."""
    text = (tree / path).read_text(encoding="utf-8")
    nodes = list(sites(tree / path))
    if not nodes:
        return 0, []
    (tree / path).write_text(mutated(text, nodes), encoding="utf-8")
    _, lines = named(tree, path)
    count = Counter(node.lineno for node in nodes)
    left = []
    for number, node in enumerate(nodes):
        if node.lineno in lines and count[node.lineno] == 1:
            continue
        (tree / path).write_text(mutated(text, [node]), encoding="utf-8")
        os.utime(tree / path, (number, number))  # mypy tells versions of a file by size and second
        if not named(tree, path)[0]:
            left.append(node)
    (tree / path).write_text(text, encoding="utf-8")
    return len(nodes), left


def main() -> int:
    """Try them all; see the module's docstring."""
    chosen = [Path(name).resolve().relative_to(ROOT) for name in sys.argv[1:]]
    if not chosen:
        rooms = [ROOT / PACKAGE / room for room in ROOMS]
        found = [path for room in rooms for path in (sorted(room.glob("*.py")) if room.is_dir() else [room])]
        chosen = [path.relative_to(ROOT) for path in found if not path.match(DEFINITIONS)]
    tried, alive = 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        shutil.copytree(ROOT / "pylib", tree / "pylib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        if named(tree, Path())[0]:
            sys.exit("mypy is not content with the tree as it is")
        for path in chosen:
            count, left = survivors(tree, path)
            tried, alive = tried + count, alive + len(left)
            for node in left:
                print(f"{path}:{node.lineno} {node.value!r}", flush=True)
    print(f"{tried} tried, {alive} survived")
    return int(bool(alive))


if __name__ == "__main__":
    sys.exit(main())
