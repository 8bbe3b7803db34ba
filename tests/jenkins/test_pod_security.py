"""The Pod Security rules, one field at a time, against the tables of the Kubernetes page."""

from __future__ import annotations

from typing import Any

import pytest
from podman_agent.jenkins import podsecurity

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(context: dict[str, Any] | None = None, **spec: object) -> dict[str, Any]:
    container = {"name": "c", "securityContext": RESTRICTED if context is None else context}
    return {"spec": {"containers": [container], **spec}}


def test_restricted_pod() -> None:
    assert podsecurity.level(pod()) == "restricted"


@pytest.mark.parametrize(
    "made",
    [
        pod({}),
        pod(RESTRICTED | {"allowPrivilegeEscalation": True}),
        pod(RESTRICTED | {"runAsNonRoot": False}),
        pod(RESTRICTED | {"runAsUser": 0}),
        pod(RESTRICTED | {"capabilities": {}}),
        pod(RESTRICTED | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
        pod({key: RESTRICTED[key] for key in RESTRICTED if key != "seccompProfile"}),
        pod(volumes=[{"name": "v", "nfs": {}}]),
    ],
)
def test_baseline_pod(made: Any) -> None:
    assert podsecurity.level(made) == "baseline"


@pytest.mark.parametrize(
    "made",
    [
        pod(RESTRICTED | {"privileged": True}),
        pod(RESTRICTED | {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
        pod(RESTRICTED | {"procMount": "Unmasked"}),
        pod(RESTRICTED | {"seccompProfile": {"type": "Unconfined"}}),
        pod(RESTRICTED | {"appArmorProfile": {"type": "Unconfined"}}),
        pod(RESTRICTED | {"seLinuxOptions": {"type": "spc_t"}}),
        pod(RESTRICTED | {"seLinuxOptions": {"user": "root"}}),
        pod(hostNetwork=True),
        pod(hostPID=True),
        pod(hostIPC=True),
        pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
        pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        pod(initContainers=[{"name": "i", "securityContext": {"privileged": True}}]),
        {"spec": {"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}},
    ],
)
def test_pod_only_the_privileged_level_admits(made: Any) -> None:
    assert podsecurity.level(made) == "privileged"
