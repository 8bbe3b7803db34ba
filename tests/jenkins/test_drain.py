"""Who is ended at the end of a pod, in a PID namespace of its own so that nothing else can be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DRAIN = "from podman_agent.agent import drain; print(drain.drain({seconds}, podman='{podman}', buildah='true'))"


@pytest.fixture
def drained(tmp_path: Path, namespace: Any) -> Any:
    """Run a setup, the drain and what looks at its result, as one script that is PID 1."""

    def run(setup: str, after: str, seconds: float = 8, podman: str = "true") -> list[str]:
        script = tmp_path / "script"
        code = DRAIN.format(seconds=seconds, podman=podman)
        script.write_text(f'{setup}\n"{sys.executable}" -c "{code}"\n{after}\n')
        done = subprocess.run(
            [*namespace, "bash", str(script)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT / "pylib")},
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout.splitlines()

    return run


STARTED = "until pgrep -f '^{name}' >/dev/null; do sleep 0.02; done"


@pytest.mark.parametrize("name", ["podman", "/usr/bin/buildah", "skopeo"])
def test_engine_is_asked_to_end(drained: Any, name: str) -> None:
    setup = f"(exec -a {name} sleep 60) &\n{STARTED.format(name=name)}"
    assert drained(setup, "wait $!; echo $?") == ["0", "143"]


def test_engine_that_ignores_it_is_killed_and_counted(drained: Any) -> None:
    setup = f"trap '' TERM\n(exec -a podman sleep 60) &\ntrap - TERM\n{STARTED.format(name='podman')}"
    assert drained(setup, "wait $!; echo $?", seconds=6) == ["1", "137"]


def test_engine_that_a_script_starts_after_the_first_is_ended_too(drained: Any) -> None:
    setup = (
        "first() { (exec -a podman sleep 60); (exec -a buildah sleep 61); echo end; }\nfirst &\n"
        f"{STARTED.format(name='podman')}"
    )
    assert sorted(drained(setup, "wait")) == ["0", "end"]


def test_other_programs_and_engines_of_another_root_are_left_alone(drained: Any) -> None:
    """The other root stands for the node, in a pod that shares its process ids."""
    setup = (
        "mount -t tmpfs none /mnt && mkdir /mnt/root && mount --rbind / /mnt/root\n"
        "chroot /mnt/root bash -c 'exec -a podman sleep 60' & other=$!\n(exec -a conmon sleep 60) & mine=$!\n"
        "(exec -a podmanager sleep 60) & alike=$!\nsleep 0.2"
    )
    after = "kill -0 $other $mine $alike && echo all alive"
    assert drained(setup, after) == ["0", "all alive"]


def test_missing_podman_does_not_matter(drained: Any) -> None:
    assert drained("", "", podman="/no/podman") == ["0"]
