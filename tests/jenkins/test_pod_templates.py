"""The shipped pod templates: what the generator prints, valid, as safe as they say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from podman_agent import cli
from podman_agent.agent import drain, entry
from podman_agent.jenkins import podsecurity

ROOT = Path(__file__).parents[2]
PODS = sorted((ROOT / "jenkins/pods").glob("*.yaml"))
GENERATED = [*PODS, *sorted((ROOT / "jenkins/casc").glob("*.yaml"))]
# hostUsers is the youngest field in use: alpha in 1.25.
MINORS = [f"1.{minor}" for minor in range(25, 38)]


def load(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def pod_of(path: Path) -> dict[str, Any]:
    [pod] = [made for made in load(path) if made["kind"] == "Pod"]
    return pod


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", GENERATED, ids=name_of)
def test_file_is_what_the_command_in_its_first_line_prints(
    path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = path.read_text()
    command = shlex.split(text.splitlines()[0].removeprefix("# podman-agent "))
    assert cli.main(command) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("path", PODS, ids=name_of)
def test_template_is_strictly_valid(path: Any, minor: Any) -> None:
    for made in load(path):
        kubernetes_validate.validate(made, minor, strict=True)


def test_newest_minor_of_the_schemas_is_tested() -> None:
    assert kubernetes_validate.latest_version().startswith(MINORS[-1])


def test_strict_validation_refuses_a_misspelt_field() -> None:
    pod = pod_of(PODS[0])
    pod["spec"]["containers"][0]["imagePullpolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, MINORS[0], strict=True)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("unprivileged", "baseline"),
        ("single-container", "baseline"),
        ("sidecar", "baseline"),
        ("restricted", "restricted"),
        ("userns", "privileged"),
        ("privileged-hostpath", "privileged"),
        ("privileged-pvc", "privileged"),
        ("privileged-ephemeral", "privileged"),
    ],
)
def test_template_is_admitted_at_the_pod_security_level_it_names(name: str, level: str) -> None:
    path = ROOT / f"jenkins/pods/{name}.yaml"
    assert f"# Pod Security level: {level}" == path.read_text().splitlines()[1]
    assert podsecurity.level(pod_of(path)) == level


@pytest.mark.parametrize("path", PODS, ids=name_of)
def test_every_container_has_requests_and_limits_and_the_image_is_named_once(path: Any) -> None:
    containers = pod_of(path)["spec"]["containers"]
    for container in containers:
        assert container["resources"].keys() == {"requests", "limits"}
    assert path.read_text().count("jenkins-podman-agent") == 1


@pytest.mark.parametrize("path", PODS, ids=name_of)
def test_a_pod_has_time_for_its_end_and_no_more(path: Any) -> None:
    """The image's init is PID 1: a kubelet waits no longer than builds and java take."""
    spec = pod_of(path)["spec"]
    assert spec["terminationGracePeriodSeconds"] == drain.SECONDS + 2 * entry.CHILD_SECONDS
    assert not any("command" in container for container in spec["containers"])


@pytest.mark.parametrize("path", PODS, ids=name_of)
def test_a_kubelet_rewrites_no_layer_on_a_claim(path: Any) -> None:
    """With `fsGroupChangePolicy: Always`, the default, it gives each file to the group at each mount."""
    spec = pod_of(path)["spec"]
    claims = {"persistentVolumeClaim", "ephemeral"} & spec["volumes"][0].keys()
    policy = spec.get("securityContext", {}).get("fsGroupChangePolicy")
    assert policy == ("OnRootMismatch" if claims else None)


def test_privileged_hostpath_is_the_template_a_docker_world_knows() -> None:
    pod = pod_of(ROOT / "jenkins/pods/privileged-hostpath.yaml")
    [container] = pod["spec"]["containers"]
    [volume] = pod["spec"]["volumes"]
    assert container["args"] == ["cat"]
    assert container["tty"] is True
    assert container["securityContext"] == {"privileged": True}
    mount = {"name": volume["name"], "mountPath": "/var/lib/containers", "subPath": "privileged/default"}
    assert container["volumeMounts"] == [mount]
    assert volume["hostPath"]["type"] == "DirectoryOrCreate"


@pytest.mark.parametrize("path", PODS, ids=name_of)
def test_a_volume_that_pods_share_shows_where_a_business_has_its_own_cache(path: Any) -> None:
    pod = pod_of(path)
    shared = {"hostPath", "persistentVolumeClaim"} & pod["spec"]["volumes"][0].keys()
    env = {e["name"]: e["value"] for e in pod["spec"]["containers"][0].get("env", [])}
    assert env == ({"PODMAN_AGENT_CACHE_KEY": "default"} if shared else {})
    assert ("each business" in path.read_text()) is bool(shared)
