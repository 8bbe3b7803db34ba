"""The admission policy that is an example: its expressions, evaluated on our templates and on what they must refuse.

By cel-python in the API server's place (https://kubernetes.io/docs/reference/using-api/cel/): same language, so what is
not shown is the server's own type check.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import celpy
import celpy.celtypes
import kubernetes_validate
import pytest
import yaml
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError
from podman_agent.jenkins import pod as pods
from podman_agent.jenkins.trust import LEVELS

if TYPE_CHECKING:
    from podman_agent.jenkins.trust import Template

ROOT = Path(__file__).parents[2]
POLICY, BINDING = yaml.safe_load_all((ROOT / "jenkins/admission/podman-agent.yaml").read_text())
TEAM = "default"
CEL = celpy.Environment()


def evaluate(expression: str, activation: dict[str, Any]) -> Any:
    return CEL.program(CEL.compile(expression)).evaluate(activation)


def refused(pod: dict[str, Any], team: str = TEAM) -> list[str]:
    """The messages of the validations that a pod does not pass; an error of the expression is a refusal too."""
    labels = {"podman-agent/team": team}
    given = {"object": pod, "namespaceObject": {"metadata": {"labels": labels}}}
    activation: dict[str, Any] = {name: json_to_cel(value) for name, value in given.items()}
    variables: dict[Any, Any] = {}
    for variable in POLICY["spec"]["variables"]:
        activation["variables"] = celpy.celtypes.MapType(variables)
        variables[celpy.celtypes.StringType(variable["name"])] = evaluate(variable["expression"], activation)
    activation["variables"] = celpy.celtypes.MapType(variables)
    found = []
    for validation in POLICY["spec"]["validations"]:
        try:
            passed = bool(evaluate(validation["expression"], activation))
        except CELEvalError:
            passed = False
        if not passed:
            found.append(validation["message"])
    return found


@pytest.mark.parametrize("minor", [f"1.{minor}" for minor in range(30, 38)])
@pytest.mark.parametrize("made", [POLICY, BINDING], ids=lambda made: made["kind"])
def test_it_is_strictly_valid(made: dict[str, Any], minor: str) -> None:
    kubernetes_validate.validate(made, minor, strict=True)


@pytest.mark.parametrize("path", sorted((ROOT / "jenkins/pods").glob("*.yaml")), ids=lambda path: path.name)
def test_every_template_is_admitted(path: Path) -> None:
    [pod] = [made for made in yaml.safe_load_all(path.read_text()) if made["kind"] == "Pod"]
    assert refused(pod) == []


@pytest.mark.parametrize(
    ("trust", "cache"),
    [
        *((trust, "pvc:podman-agent") for trust in LEVELS),
        *((trust, "hostpath:/var/lib/podman-agent") for trust in LEVELS if trust != "restricted"),
    ],
)
def test_a_pod_of_any_level_is_admitted_with_the_part_of_its_team(trust: Template, cache: str) -> None:
    made = pods.pod(pods.PodOptions("x", trust=trust, cache=pods.Cache.parse(cache), key="team-a"))
    assert refused(made, "team-a") == []
    assert refused(made, "team-b") == [
        "a cache is mounted by the subPath of the pod's own trust level and the namespace's own team"
    ]


def template(trust: Template = "privileged") -> dict[str, Any]:
    cache = pods.Cache.parse("hostpath:/var/lib/podman-agent")
    return copy.deepcopy(pods.pod(pods.PodOptions("x", trust=trust, cache=cache, key=TEAM)))


def test_another_image_may_not_be_privileged() -> None:
    pod = template()
    pod["spec"]["containers"][0]["image"] = "docker.io/library/alpine"
    assert len(refused(pod)) == 1


@pytest.mark.parametrize("kind", ["containers", "initContainers", "ephemeralContainers"])
def test_nor_may_a_container_beside_it(kind: str) -> None:
    pod = template()
    other = {
        "name": "podman2",
        "image": "localhost/jenkins-podman-agent:latest",
        "securityContext": {"privileged": True},
    }
    pod["spec"].setdefault(kind, []).append(other)
    assert len(refused(pod)) == 1


def test_a_capability_that_is_as_good_counts_as_privileged() -> None:
    pod = template("unprivileged")
    pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"].append("SYS_ADMIN")
    assert refused(pod) == [
        "a cache is mounted by the subPath of the pod's own trust level and the namespace's own team"
    ]


@pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC"])
def test_the_nodes_namespaces_are_refused(field: str) -> None:
    pod = template()
    pod["spec"][field] = True
    assert len(refused(pod)) == 1


@pytest.mark.parametrize("path", ["/", "/var/run/docker.sock", "/var/lib/podman-agent/privileged", "/var/lib"])
def test_another_host_path_is_refused(path: str) -> None:
    """Also one below the cache, by which its parts could be had without a subPath."""
    pod = template()
    pod["spec"]["volumes"].append({"name": "more", "hostPath": {"path": path}})
    assert len(refused(pod)) == 1


@pytest.mark.parametrize(
    "mount",
    [
        {},
        {"subPath": ""},
        {"subPath": "privileged"},
        {"subPath": "privileged/other"},
        {"subPath": "unprivileged/default"},
        {"subPath": "privileged/default/podman-agent"},
        {"subPathExpr": "privileged/default"},
        {"subPath": "privileged/default", "subPathExpr": "$(X)"},
    ],
)
def test_another_part_of_the_cache_is_refused(mount: dict[str, str]) -> None:
    pod = template()
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "storage", "mountPath": "/x", **mount}]
    assert len(refused(pod)) == 1


def test_a_second_mount_of_the_volume_in_another_container_is_refused() -> None:
    pod = template()
    pod["spec"]["containers"].append(
        {"name": "b", "image": "x", "volumeMounts": [{"name": "storage", "mountPath": "/x"}]}
    )
    assert len(refused(pod)) == 1


def test_it_names_the_image_that_the_templates_name() -> None:
    assert (ROOT / "jenkins/admission/podman-agent.yaml").read_text().count(f"'{pods.IMAGE}'") == 1
