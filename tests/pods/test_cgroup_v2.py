"""Boots a machine with cgroup v2 alone and starts pods there, for a build machine whose own cgroups are hybrid."""

from __future__ import annotations

import shlex

import pytest
import runs
import vm

pytestmark = pytest.mark.nested

# two at a time, one for each processor; each with names of its own
SCRIPT = """export PYTHONDONTWRITEBYTECODE=1
pytest() {
    JPA_NAME=$1 .venv/bin/python -m pytest -p no:cacheprovider --color=no -q tests/pods/on_cgroup_v2.py -k "$2"
}
pytest one "$ONE" >/run/one 2>&1 & one=$!
pytest two "$TWO"; two=$?
wait $one; one=$?
cat /run/one; exit $((one + two))
"""
# the rest of the pods of on_cgroup_v2.py are with `make soak`
ONE = ("privileged-cgroup-v2-host",)
TWO = ("least-capabilities-cgroup-v2",)


def test_pods_on_cgroup_v2(agent_image: str) -> None:
    """Privileged as under containerd, and with the least of capabilities; neither is left out."""
    assert agent_image
    choices = f"ONE={shlex.quote(' or '.join(ONE))} TWO={shlex.quote(' or '.join(TWO))}\n"
    with runs.signals_as_exceptions():
        done = vm.run(choices + SCRIPT, seconds=120)
    assert done.code == 0, done.output[-6000:]
    finished = {line.split()[1] for line in done.report.splitlines() if line.startswith("done ")}
    assert finished == {*ONE, *TWO}, done.output[-3000:]
