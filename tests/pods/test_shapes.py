"""Each pod shape for real: the agent image under exactly its settings builds, pushes and, where it can, runs."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING

import outer
import pytest
from podman_agent.plan.decide import decide
from podman_agent.pod.facts import Facts
from pods import surroundings
from pods.shapes import SHAPES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested

RESULTS = outer.ROOT / ".cache/pod-shapes.json"
RECORDED = outer.ROOT / "tests/fixtures/facts"
# what each pod said of itself: copied to tests/fixtures/facts when there is something new to be recorded
SEEN = outer.ROOT / ".cache/facts"
# what a plan from recorded facts must have in common with the pod's own: the rest are paths and limits of a machine
CHOICES = (
    *("storage_driver", "isolation", "runtime", "cgroups", "cgroup_manager", "network", "id_mode", "can_run"),
    *("volumes", "lock_type", "uts", "run_directory", "watched"),
)
IMAGE = os.environ.get("AGENT_IMAGE", outer.IMAGE)
DOCKERFILE = (
    "FROM busybox AS one\\nRUN echo hi >/x && chmod 4755 /x\\nFROM busybox\\nCOPY --from=one /x /x\\nRUN test -u /x"
)


# image.inside { } of docker-workflow (WithContainerStep.java): the agent's own user writes into the workspace
INSIDE = """set -e; ws=/tmp/workspace; mkdir -p $ws; cd $ws
cid=$(docker run -t -d -u $(id -u):$(id -g) -w $ws -v $ws:$ws:rw,z -e A=b {image} cat)
docker top $cid -eo pid,comm | grep -q cat
docker exec --env K=value $cid sh -c 'echo $K > '$ws'/file'
docker stop --time=1 $cid >/dev/null 2>&1; docker rm -f --volumes $cid >/dev/null
test $(stat -c %u $ws/file) = $(id -u); cat $ws/file"""


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, object]]:
    """What each shape was seen to do; `tools/pod_shapes.py` makes the table of docs/reference/pod-shapes.md of it."""
    seen: dict[str, object] = {}
    yield seen
    if len(seen) == len(SHAPES):
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(seen, indent=1))


@pytest.mark.parametrize("name", SHAPES)
def test_shape_builds_pushes_and_runs_as_planned(
    name: str, disk: Path, mirror: outer.Registry, results: dict[str, object]
) -> None:
    """Build with RUN and a second stage, push, run: with the driver, isolation, runtime and cgroups expected."""
    shape = SHAPES[name]
    container = f"{outer.NAME}-shape-{secrets.token_hex(3)}"
    where = disk / "shapes" / name
    address = surroundings.address(shape, mirror)
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={address}"}

    def inside(command: str) -> subprocess.CompletedProcess[str]:
        line = f"{shape.before}; {command}"
        return outer.podman("exec", container, "timeout", "120", "bash", "-c", line, check=False)

    around = surroundings.volumes(shape, where)
    surroundings.start(shape, around, container, env, IMAGE)
    try:
        with surroundings.registry(shape, container, mirror, where):
            holds = inside(shape.holds)
            plan = json.loads(inside("podman-agent plan --json").stdout)
            facts = inside("podman-agent plan --facts").stdout
            seen = tuple(plan[key] for key in ("storage_driver", "isolation", "runtime", "cgroups", "id_mode"))
            image = f"{address}/shapes/{name}:1"
            build = inside(f"mkdir -p /tmp/empty; printf '{DOCKERFILE}' | docker build -q -t {image} -f - /tmp/empty")
            push = inside(f"docker push -q {image}")
            run = inside(f"docker run --rm {image} stat -c %a /x")
            workflow = inside(INSIDE.format(image=image))
    finally:
        outer.podman("rm", "--force", "--time=0", container)
    SEEN.mkdir(parents=True, exist_ok=True)
    (SEEN / f"{name}.json").write_text(facts)
    results[name] = {
        "title": shape.title,
        "plan": seen,
        "build": build.returncode == 0,
        "push": push.returncode == 0,
        "run": run.stdout.strip() == "4755",
    }
    assert holds.returncode == 0, f"not the pod its title names: {shape.holds}"
    assert shape.expect == seen
    recorded = json.loads(decide(Facts.from_json((RECORDED / f"{name}.json").read_text()), {}).to_json())
    assert {choice: recorded[choice] for choice in CHOICES} == {choice: plan[choice] for choice in CHOICES}
    assert build.returncode == 0, build.stderr
    assert push.returncode == 0, push.stderr
    assert mirror.digest(f"shapes/{name}", "1").startswith("sha256:")
    if shape.run:
        assert run.stdout.strip() == "4755", run.stderr
        assert workflow.stdout.splitlines()[-1:] == ["value"], workflow.stdout + workflow.stderr
    else:
        assert run.returncode == 77
        assert run.stderr.count("\n") == 1
