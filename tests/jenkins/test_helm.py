"""The values for the Helm chart: keys the chart has, in kinds it takes, and what its `tpl` makes of the strings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import yaml
from jenkins.helm_keys import keys
from podman_agent import cli
from podman_agent.jenkins import formats

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "jenkins/helm/values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
RECORDED = json.loads((ROOT / "tests/fixtures/helm/jenkins.json").read_text())
CHART: dict[str, str] = RECORDED["keys"]
# values.yaml of the chart: a map of the user's own keys; and the kinds a null stands for in it and in templates/
OPEN = ("agent.podTemplates.",)
NULLS = {"extraObjects": "list", "serviceAccountAgent.name": "str"}
POD_TEMPLATE = {"name", "label", "serviceAccount", "yaml"}  # setters of the kubernetes plugin's PodTemplate


def rendered(text: str) -> str:
    """What Go's `tpl` gives for a string with no action in it but our own escape."""
    assert "{{" not in text.replace('{{ "{{" }}', "")
    return text.replace('{{ "{{" }}', "{{")


def templates() -> list[dict[str, Any]]:
    return [made for text in VALUES["agent"]["podTemplates"].values() for made in yaml.safe_load(rendered(text))]


def test_every_key_is_one_of_the_chart_and_of_its_kind() -> None:
    given = {path: kind for path, kind in keys(VALUES) if not path.startswith(OPEN)}
    assert given.keys() <= CHART.keys()
    assert {path: NULLS.get(path) or CHART[path] for path in given} == given
    assert all(CHART[path] == "null" for path in NULLS if path in {"extraObjects", "serviceAccountAgent.name"})


def test_the_chart_that_is_named_is_the_one_whose_keys_are_recorded() -> None:
    assert RECORDED["chart"] == formats.HELM_CHART
    assert f"keys of chart {formats.HELM_CHART}" in TEXT


def test_each_template_is_one_shipped_pod_and_none_is_missing() -> None:
    shipped = {}
    for path in (ROOT / "jenkins/pods").glob("*.yaml"):
        made = list(yaml.safe_load_all(path.read_text()))[-1]
        shipped[made["metadata"]["name"]] = made
    assert all(template.keys() == POD_TEMPLATE for template in templates())
    assert {template["label"]: yaml.safe_load(template["yaml"]) for template in templates()} == shipped
    account = VALUES["serviceAccountAgent"]
    assert {template["serviceAccount"] for template in templates()} == {account["name"]}
    assert account["create"]


def test_what_the_pods_need_is_installed_with_the_release() -> None:
    objects = [yaml.safe_load(rendered(text)) for text in VALUES["extraObjects"]]
    for made in objects:
        kubernetes_validate.validate(made, "1.37", strict=True)
        assert "namespace" not in made["metadata"]
    names = {(made["kind"], made["metadata"]["name"]) for made in objects}
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for template in templates()
        for volume in yaml.safe_load(template["yaml"])["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert {name for kind, name in names if kind == "PersistentVolumeClaim"} == claims
    assert {kind for kind, _ in names} == {"PersistentVolumeClaim", "CronJob", "ConfigMap", "DaemonSet"}


def test_braces_of_go_templates_survive_the_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text("kind: Pod\nmetadata:\n  name: x\n  annotations:\n    a: '{{ .Release }}'\nspec: {}\n")
    assert cli.main(["pod", "--format", "helm", str(path)]) == 0
    values = yaml.safe_load(capsys.readouterr().out)
    [template] = yaml.safe_load(rendered(values["agent"]["podTemplates"]["x"]))
    assert "{{ .Release }}" in template["yaml"]


def test_the_first_line_makes_the_file_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(TEXT.splitlines()[0].removeprefix("# podman-agent ").split()) == 0
    assert capsys.readouterr().out == TEXT
