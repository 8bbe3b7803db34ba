"""The image says what is in it, and that is so."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import lock
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from testinfra.host import Host

pytestmark = pytest.mark.nested


@pytest.fixture
def packages(agent_container: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(agent_container.check_output("cat /usr/share/podman-agent/packages.json"))
    return found


def test_every_package_is_listed_with_its_version(agent_container: Host, packages: dict[str, Any]) -> None:
    """What dpkg, rpm and pip say themselves."""
    query = "dpkg-query -W -f '${Package} ${Version}\n' 2>/dev/null || rpm -qa --qf '%{NAME} %{EVR}\n'"
    listed = sorted(f"{p['name']} {p['version']}" for p in packages["distribution"])
    assert listed == sorted(agent_container.check_output(query).splitlines())
    pip = json.loads(agent_container.check_output("/opt/podman-agent/venv/bin/python -m pip list --format json"))
    assert {p["name"]: p["version"] for p in packages["python"]} == {p["name"]: p["version"] for p in pip}


def test_the_sbom_is_cyclonedx_and_has_both_kinds(agent_container: Host, packages: dict[str, Any]) -> None:
    text = agent_container.check_output("cat /usr/share/podman-agent/sbom.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    assert len(components) == len(packages["distribution"]) + len(packages["python"])
    kinds = {c["purl"].split("/")[0] for c in components}
    assert kinds in ({"pkg:deb", "pkg:pypi"}, {"pkg:rpm", "pkg:pypi"})


def test_what_pip_installed_is_what_the_lock_says(packages: dict[str, Any]) -> None:
    locked = re.findall(r"^(\S+)==(\S+)", lock.LOCK.read_text(), re.MULTILINE)
    installed = {canonicalize_name(p["name"]): p["version"] for p in packages["python"]}
    ours = {"pip", "podman-agent"}  # the venv's own, and this tree
    assert {(n, v) for n, v in installed.items() if n not in ours} <= {(canonicalize_name(n), v) for n, v in locked}


def test_no_file_changes_its_user(agent_container: Host) -> None:
    assert agent_container.check_output("find / -xdev -type f -perm /6000") == ""


def test_its_label_has_the_versions_that_decide_what_works(
    image: str, outer: Callable[..., subprocess.CompletedProcess[str]], packages: dict[str, Any]
) -> None:
    label = outer("image", "inspect", "--format", '{{index .Labels "podman-agent.packages"}}', image).stdout.split()
    [podman] = [p["version"] for p in packages["distribution"] if p["name"] == "podman"]
    assert f"podman={podman}" in label


@pytest.mark.parametrize(
    ("words", "expected"), [("docker imag", "images"), ("podman buil", "build"), ("docker run --cpu", "--cpus")]
)
def test_an_interactive_bash_completes_docker(agent_container: Host, words: str, expected: str) -> None:
    """By podman's own answers, through the shim."""
    script = (
        "COMP_WORDS=($0); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); complete -p ${COMP_WORDS[0]} >/dev/null || exit 9; "
        '_podman_agent_cobra 2>/dev/null; echo "${COMPREPLY[@]}"'
    )
    said = agent_container.check_output("bash -ic %s %s 2>/dev/null", script, words)
    assert expected in said.split()


def test_its_manual_pages_are_there(agent_container: Host) -> None:
    assert agent_container.check_output("head -c 3 /usr/share/man/man1/podman-agent-doctor.1") == ".TH"
