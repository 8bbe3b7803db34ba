"""`podman-agent migrate`: what people have in, what runs here out, and what a reader must decide."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from podman_agent import cli
from podman_agent.jenkins import migratefiles, pod
from unit.jenkins.migrate_inputs import CASC, JENKINSFILES, PODS, Case

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.jenkins.migrate import Migration

OPTIONS = pod.PodOptions("podman-agent")
WANTED = pod.pod(OPTIONS)["spec"]["containers"][0]
ALL = {**{f"{name}.yaml": case for name, case in (PODS | CASC).items()}, **JENKINSFILES}


def migrated(name: str, text: str) -> tuple[str, Migration]:
    return (migratefiles.migrate_yaml if name.endswith(".yaml") else migratefiles.migrate_groovy)(text, OPTIONS)


def pods_in(value: Any) -> list[dict[str, Any]]:
    """Every pod in a value, also in its strings."""
    if isinstance(value, str) and "containers:" in value:
        return [found for one in yaml.safe_load_all(value) for found in pods_in(one)]
    if isinstance(value, dict) and isinstance(value.get("spec"), dict) and "containers" in value["spec"]:
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for one in inner for found in pods_in(one)]


def pods_of(name: str, text: str) -> list[dict[str, Any]]:
    literals = [text] if name.endswith(".yaml") else re.findall(r"(?:'''|\"\"\")(.*?)(?:'''|\"\"\")", text, re.DOTALL)
    return [found for literal in literals for found in pods_in(textwrap.dedent(literal))]


@pytest.mark.parametrize(("name", "case"), ALL.items(), ids=ALL)
def test_each_input_gets_our_builder_and_loses_the_old_one(name: str, case: Case) -> None:
    text, result = migrated(name, case.text)
    assert result.found == case.found
    assert len(result.undecided) == len(case.undecided), result.undecided
    for part in case.undecided:
        assert any(part in line for line in result.undecided), (part, result.undecided)
    for part in case.kept:
        assert part in text
    if not case.found:
        assert text == case.text
        return
    [made] = pods_of(name, text)
    [builder] = [c for c in made["spec"]["containers"] if c["name"] == case.builder]
    assert {k: builder[k] for k in ("image", "args", "tty", "securityContext")} == {
        k: WANTED[k] for k in ("image", "args", "tty", "securityContext")
    }
    assert "docker.sock" not in str(made)
    assert "DOCKER_" not in str(made)
    assert not re.search(r"dind|kaniko-project|buildah/", str([c.get("image") for c in made["spec"]["containers"]]))
    mounted = {m["name"] for c in made["spec"]["containers"] for m in c.get("volumeMounts", [])}
    declared = [v["name"] for v in made["spec"]["volumes"]]
    assert mounted <= set(declared)
    assert len(declared) == len(set(declared))
    assert "/var/lib/containers" in {m["mountPath"] for m in builder["volumeMounts"]}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **made}
    kubernetes_validate.validate(whole, "1.37", strict=True)


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if case.found])
def test_what_was_migrated_needs_no_other_time(name: str) -> None:
    text, _ = migrated(name, ALL[name].text)
    again, result = migrated(name, text)
    assert (again, result.found) == (text, set())


def test_the_inputs_are_thirty_and_more() -> None:
    assert len(ALL) >= 30


def test_the_command_prints_what_is_undecided_above_the_file_and_leaves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(PODS["kaniko"].text)
    args = ["migrate", str(path), "--trust", "userns", "--cache", "pvc:layers", "--key", "team-a", "--image", "r/a:1"]
    assert cli.main(args) == 0
    printed = capsys.readouterr().out
    assert "# undecided: container('kaniko'): /kaniko/executor is not there" in printed.split("apiVersion")[0]
    made = yaml.safe_load(printed)["spec"]
    assert made["hostUsers"] is False
    assert made["containers"][0]["image"] == "r/a:1"
    assert {"name": "PODMAN_AGENT_CACHE_KEY", "value": "team-a"} in made["containers"][0]["env"]
    assert path.read_text() == PODS["kaniko"].text


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pod.yaml", "kind: Pod\nspec: {containers: [{name: a, image: node}]}\n", "nothing to migrate"),
        ("Jenkinsfile", "node { sh 'make' }\n", "nothing to migrate"),
        ("pod.yaml", "a: [", "not YAML"),
        ("pod.yaml", None, "cannot read"),
    ],
)
def test_what_cannot_be_migrated_is_one_line_and_exit_65(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    assert cli.main(["migrate", str(tmp_path / name)]) == 65
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
