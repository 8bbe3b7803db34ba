"""What collects garbage on shared volumes is valid on every supported Kubernetes, with no more rights than it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jenkins/cache").glob("*.yaml"))


def collecting(path: Path) -> dict[str, Any]:
    """The pod that runs gc, in its first container."""
    made = list(yaml.safe_load_all(path.read_text()))[-1]["spec"]
    spec: dict[str, Any] = made.get("jobTemplate", {"spec": made})["spec"]["template"]["spec"]
    assert "podman-agent" in str(spec["containers"][0]["command"] + spec["containers"][0].get("args", []))
    return spec


@pytest.mark.parametrize("minor", [f"1.{minor}" for minor in range(25, 38)])
@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.name)
def test_it_is_strictly_valid(path: Path, minor: str) -> None:
    for made in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(made, minor, strict=True)


@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.name)
def test_it_uses_the_volume_of_the_pod_template_of_the_same_name(path: Path) -> None:
    job = collecting(path)
    template = ROOT / "jenkins/pods" / f"privileged-{path.stem.rpartition('-')[2]}.yaml"
    [pod] = [d for d in yaml.safe_load_all(template.read_text()) if d["kind"] == "Pod"]
    [mount] = job["containers"][0]["volumeMounts"]
    [part] = pod["spec"]["containers"][0]["volumeMounts"]
    # all parts of it, and by no other way
    assert part.pop("subPath") == "privileged/default"
    assert mount == part
    [volume] = [volume for volume in job["volumes"] if volume["name"] == mount["name"]]
    assert volume in pod["spec"]["volumes"]


@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.name)
def test_it_can_leave_the_store_of_another_user_to_that_user(path: Path) -> None:
    """Reading and replacing files of all users, and giving what it replaced back; nothing else."""
    job = collecting(path)
    container = job["containers"][0]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}
