"""How jenkins/seccomp/podman-agent.json comes onto the nodes: one profile in three files, the DaemonSet's command."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from podman_agent.jenkins.trust import LEVELS

SECCOMP = Path(__file__).parents[2] / "jenkins/seccomp"
TEXT = (SECCOMP / "podman-agent.json").read_text()


def installed() -> tuple[dict[str, Any], dict[str, Any]]:
    config, daemons = yaml.safe_load_all((SECCOMP / "install.yaml").read_text())
    return config, daemons


def test_all_three_hold_the_same_profile() -> None:
    config, _ = installed()
    assert config["data"]["podman-agent.json"] == TEXT
    profile = json.loads(TEXT)
    operators = yaml.safe_load((SECCOMP / "security-profiles-operator.yaml").read_text())
    assert operators["apiVersion"] == "security-profiles-operator.x-k8s.io/v1beta1"
    # errnoRet is a string there (api/seccompprofile/v1beta1/seccompprofile_types.go), and EPERM without one
    [rule] = profile["syscalls"]
    assert rule.pop("errnoRet") == errno.EPERM
    assert operators["spec"] == profile | {"syscalls": [rule]}


@pytest.mark.parametrize("minor", [f"1.{minor}" for minor in range(25, 38)])
def test_the_daemon_set_is_strictly_valid(minor: str) -> None:
    for made in installed():
        kubernetes_validate.validate(made, minor, strict=True)


def test_its_command_puts_the_profile_where_the_restricted_template_looks(tmp_path: Path) -> None:
    """With the tools of this machine, in a directory of our own in the place of the kubelet's."""
    _, daemons = installed()
    spec = daemons["spec"]["template"]["spec"]
    [container] = spec["containers"]
    places = {volume["name"]: volume for volume in spec["volumes"]}
    assert places["seccomp"]["hostPath"]["path"] == "/var/lib/kubelet/seccomp"
    script = container["args"][0].replace("exec sleep infinity", "true")
    assert script != container["args"][0]
    for mount in container["volumeMounts"]:
        (tmp_path / mount["name"]).mkdir()
        script = script.replace(f"{mount['mountPath']}/", f"{tmp_path}/{mount['name']}/")
    shutil.copy(SECCOMP / "podman-agent.json", tmp_path / "profile")
    for _ in range(2):
        subprocess.run([*container["command"], script], check=True)
    name = LEVELS["restricted"].security_context["seccompProfile"]["localhostProfile"]
    assert [path.name for path in (tmp_path / "seccomp").iterdir()] == [name]
    assert (tmp_path / "seccomp" / name).read_text() == TEXT
    assert (tmp_path / "seccomp" / name).stat().st_mode & 0o777 == 0o644
