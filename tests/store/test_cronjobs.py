"""The CronJobs that collect garbage are valid on every supported Kubernetes, and name no more rights than gc needs."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jenkins/cache").glob("*.yaml"))


@pytest.mark.parametrize("minor", [f"1.{minor}" for minor in range(25, 38)])
@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.name)
def test_it_is_strictly_valid(path: Path, minor: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), minor, strict=True)


@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.name)
def test_it_uses_the_volume_of_the_pod_template_of_the_same_name(path: Path) -> None:
    job = yaml.safe_load(path.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    template = ROOT / "jenkins/pods" / path.name.replace("gc-", "privileged-")
    [pod] = [d for d in yaml.safe_load_all(template.read_text()) if d["kind"] == "Pod"]
    [mount] = job["containers"][0]["volumeMounts"]
    [part] = pod["spec"]["containers"][0]["volumeMounts"]
    # all parts of it, and by no other way
    assert part.pop("subPath") == "privileged/default"
    assert mount == part
    [volume] = job["volumes"]
    assert volume in pod["spec"]["volumes"]


@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.name)
def test_it_can_leave_the_store_of_another_user_to_that_user(path: Path) -> None:
    """Reading and replacing files of all users, and giving what it replaced back; nothing else."""
    job = yaml.safe_load(path.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = job["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}
