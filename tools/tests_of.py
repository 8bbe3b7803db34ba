"""Which file tests a module: ``python3 tools/tests_of.py pylib/podman_agent/plan/decide.py``.

A module's own file is `tests/unit/ROOM/test_MODULE.py` (`tests/store` and `tests/shim` for the store and the hot
path, which need more than one process). A module without one is tested by what its room names here. Standard library
only.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pylib/podman_agent"
# a room's modules that work only together are tested together, in these files
TOGETHER = {
    "": ("tests/docs/test_readme.py",),
    "agent": ("tests/jenkins/test_inbound.py", "tests/jenkins/test_entry.py", "tests/jenkins/test_drain.py"),
    "bake": ("tests/oracles/bake/test_bake.py", "tests/unit/bake/test_bake.py"),
    "build": ("tests/unit/build/test_rewrite.py", "tests/nested/test_dockerfiles.py"),
    "commands": ("tests/library/test_commands.py", "tests/store/test_gc.py", "tests/jenkins/test_generator.py"),
    "docker": ("tests/docker_cli/test_tables.py", "tests/docker_cli/test_workflow_plugin.py"),
    "engine": ("tests/library/test_commands.py", "tests/library/test_faults.py"),
    "explain": ("tests/unit/explain/test_cure.py", "tests/nested/test_cure.py"),
    "jenkins": ("tests/jenkins/test_generator.py", "tests/jenkins/test_pod_templates.py"),
    "nonamespace": ("tests/pods/test_nonamespace_runtime.py", "tests/pods/test_containerd.py"),
    "plan": ("tests/unit/plan/test_decide.py", "tests/unit/plan/test_decide_refusals.py"),
    "pod": ("tests/pods/test_shapes.py", "tests/pods/test_trials.py", "tests/store/test_ids.py"),
    "prepare": ("tests/nested/test_doctor.py",),
    "registry": ("tests/library/test_registry.py", "tests/library/test_faults.py"),
    "store": ("tests/store/test_claims.py", "tests/store/test_odd_stores.py", "tests/nested/test_cache.py"),
}
OWN = {"store": "tests/store", "hot": "tests/shim", "agent": "tests/jenkins"}


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def tests_of(module: Path) -> tuple[str, ...]:
    """The files that test a module, its own first.

    Raises:
        KeyError: Nobody has said which.
    """
    room = str(module.parent.relative_to(PACKAGE)).removeprefix(".")
    places = [f"tests/unit/{room}/".replace("//", "/"), *([f"{OWN[room]}/"] if room in OWN else [])]
    own = tuple(
        f"{place}test_{module.stem}.py" for place in places if (ROOT / f"{place}test_{module.stem}.py").exists()
    )
    return own or TOGETHER[room]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *tests_of(Path(name).resolve()))
