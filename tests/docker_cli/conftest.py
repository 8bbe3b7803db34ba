"""A privileged pod with two registries beside it, in which docker command lines are run."""

from __future__ import annotations

import json
import shutil
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
TEMPLATE = outer.ROOT / "jenkins/pods/privileged-hostpath.yaml"
BASE = "/var/lib/containers/base.tar"
PASSWORD = "word-of-the-private-registry"


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of one table."""
    found: list[dict[str, Any]] = tomllib.loads((HERE / name).read_text())["case"]
    return found


@dataclass
class Lab:
    """One pod on one volume, with the addresses of its registries."""

    pod: outer.Pod
    volume: Path
    registry: outer.Registry
    private: outer.Registry

    @property
    def env(self) -> dict[str, str]:
        """What the lines of the tables use."""
        return {"REGISTRY": self.registry.address, "PRIVATE": self.private.address, "PASSWORD": PASSWORD}

    def run_table(self, name: str, path: str = "", **env: str) -> list[dict[str, Any]]:
        """Run a whole table in the pod; a result for each case. `path` goes before PATH."""
        directory = self.volume / "tables" / name
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(HERE / "context", directory / "context")
        shutil.copy(HERE / "runner.py", directory)
        (directory / "cases.json").write_text(json.dumps(cases(name)))
        inside = f"/var/lib/containers/tables/{name}"
        script = f"PATH={path}:$PATH python3 {inside}/runner.py {inside}/cases.json {inside}/context"
        env |= self.env | {"BASE": BASE}
        results: list[dict[str, Any]] = json.loads(self.pod.sh(script, env=env, shell="sh -e").stdout)
        (directory / "results.json").write_text(json.dumps(results))
        return results


@pytest.fixture(scope="module")
def lab(agent_image: str, mirror: outer.Registry, disk: Path) -> Iterator[Callable[..., Lab]]:
    """Make labs; those of one module end with it."""
    assert agent_image
    with ExitStack() as stack:
        registry = stack.enter_context(outer.Registry(disk / "open"))
        private = stack.enter_context(outer.Registry(disk / "private", "ci", PASSWORD))
        made: dict[str, Lab] = {}

        def make(**env: str) -> Lab:
            key = "-".join(env.values()) or "plain"
            if key not in made:
                volume = disk / f"docker-{key}"
                env |= {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
                pod = stack.enter_context(outer.Pod(TEMPLATE, host_path=volume, env=env))
                made[key] = Lab(pod, volume, registry, private)
                pod.sh(f"podman pull -q busybox; rm -f {BASE}; podman save -q -o {BASE} busybox")
            return made[key]

        yield make
