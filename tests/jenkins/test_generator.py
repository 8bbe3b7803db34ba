"""`podman-agent pod`: from choices to text, and choices that make no sense."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from podman_agent import cli
from podman_agent.jenkins import podsecurity
from podman_agent.jenkins.trust import LEVELS

if TYPE_CHECKING:
    from pathlib import Path


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert cli.main(["pod", *args]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("trust", "cache", "layout"),
    [
        (trust, cache, layout)
        for trust, cache, layout in itertools.product(
            ("unprivileged", "restricted", "userns", "privileged"),
            ("none", "hostpath:/data/x", "pvc:claim", "ephemeral", "ephemeral:fast"),
            ("container", "single", "sidecar"),
        )
        if (trust, cache) != ("restricted", "hostpath:/data/x")
    ],
)
def test_every_combination_is_valid_and_reproduced_by_its_first_line(
    capsys: pytest.CaptureFixture[str], trust: Any, cache: Any, layout: Any
) -> None:
    text = printed(capsys, "--trust", trust, "--cache", cache, "--layout", layout, "--key", "team-a")
    objects = list(yaml.safe_load_all(text))
    for made in objects:
        kubernetes_validate.validate(made, "1.37", strict=True)
    header = text.splitlines()[0].removeprefix("# podman-agent pod").split()
    assert printed(capsys, *header) == text
    container = objects[-1]["spec"]["containers"][0]
    assert {"name": "PODMAN_AGENT_CACHE_KEY", "value": "team-a"} in container["env"]
    [mount] = container["volumeMounts"]
    shared = cache.startswith(("hostpath:", "pvc:"))
    assert mount.get("subPath") == (f"{LEVELS[trust].level}/team-a" if shared else None)


def test_the_part_that_is_mounted_is_the_one_the_agent_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """One key in the path and in the variable: at it the pod finds what `podman-agent gc --divide` put there."""
    for trust, key in itertools.product(("unprivileged", "userns", "privileged"), ("", "team-a")):
        pod = yaml.safe_load(
            printed(capsys, "--trust", trust, "--cache", "hostpath:/x", *(["--key", key] if key else []))
        )
        [container] = pod["spec"]["containers"]
        assert container["volumeMounts"][0]["subPath"] == f"{trust}/{container['env'][0]['value']}"


@pytest.mark.parametrize("layout", ["single", "sidecar"])
@pytest.mark.parametrize("cache", ["none", "pvc:claim", "ephemeral"])
def test_pod_security_restricted_admits_what_is_made_for_it(
    capsys: pytest.CaptureFixture[str], cache: str, layout: str
) -> None:
    pod = list(yaml.safe_load_all(printed(capsys, "--trust", "restricted", "--cache", cache, "--layout", layout)))[-1]
    assert list(podsecurity.restricted_violations(pod)) == []
    assert podsecurity.level(pod) == "restricted"


def test_host_path_costs_the_baseline_level(capsys: pytest.CaptureFixture[str]) -> None:
    pod = yaml.safe_load(printed(capsys, "--cache", "hostpath:/data"))
    assert list(podsecurity.baseline_violations(pod)) == ["volume storage: hostPath"]


@pytest.mark.parametrize(
    "args",
    [
        ("--cache", "nfs:server"),
        ("--cache", "hostpath:relative"),
        ("--cache", "hostpath:/"),
        ("--cache", "pvc:"),
        ("--cache", "pvc:Not_A_Name"),
        ("--cache", "none:x"),
        ("--size", "30 GB"),
        ("--cpu", "two"),
        ("--name", "Upper"),
        ("--key", "../team-b"),
        ("--key", "a/b"),
        ("--layout", "single", "--replace-entrypoint"),
        ("--trust", "blind"),
        ("--trust", "restricted", "--cache", "hostpath:/data"),
        ("--format", "pod", "file.yaml"),
    ],
)
def test_a_choice_that_makes_no_sense_is_one_line_and_exit_64(capsys: pytest.CaptureFixture[str], args: Any) -> None:
    assert cli.main(["pod", *args]) == 64
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("content", [None, "kind: Service\n", "{", "- 1\n", b"\xff\xfe"])
def test_a_file_that_holds_no_pod_is_one_line_and_exit_65(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: Any
) -> None:
    path = tmp_path / "pod.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    assert cli.main(["pod", "--format", "jcasc", str(path)]) == 65
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert str(path) in output.err


def test_jenkinsfile_stanza_holds_the_pod_of_a_file_with_a_claim(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(printed(capsys, "--cache", "pvc:claim"))
    text = printed(capsys, "--format", "jenkinsfile", str(path))
    literal = text.split("'''")[1]
    assert yaml.safe_load(literal) == list(yaml.safe_load_all(path.read_text()))[1]
    assert "defaultContainer 'podman'" in text


def test_jcasc_escapes_what_it_would_substitute(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text("kind: Pod\nmetadata:\n  name: x\nspec:\n  nodeName: ${HOME}\n")
    casc = yaml.safe_load(printed(capsys, "--format", "jcasc", str(path)))
    [template] = casc["jenkins"]["clouds"][0]["kubernetes"]["templates"]
    assert "^${HOME}" in template["yaml"]
