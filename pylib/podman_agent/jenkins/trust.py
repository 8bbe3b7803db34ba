"""The trust levels of a pod and what each asks of Kubernetes: the one place that says so.

What each level can do was measured, pod shape by pod shape; `podman-agent doctor` explains a
running pod in the same terms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podman_agent.pod.capabilities import Capability
    from podman_agent.pod.values import TrustLevel

# The least with which podman can map ids into the user namespace it makes for itself (all else a build does as root it
# does inside that namespace, measured in tests/pods; without SETFCAP the kernel refuses a map that holds id 0:
# https://man7.org/linux/man-pages/man7/user_namespaces.7.html), and DAC_OVERRIDE, without which root cannot write into
# the workspace that the inbound agent's user 1000 owns.
BUILD_CAPABILITIES: tuple[Capability, ...] = ("DAC_OVERRIDE", "SETFCAP", "SETGID", "SETUID")


USERNS_CAPABILITIES: tuple[Capability, ...] = ("SYS_ADMIN",)


@dataclass(frozen=True)
class Trust:
    """What one level asks of the cluster.

    Attributes:
        security_context: The container's `securityContext`; empty means none.
        pod: Further fields of the pod's `spec`.
        comments: Name of a field to what a reader would ask about it.
    """

    security_context: dict[str, Any] = field(default_factory=dict)
    pod: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


LEVELS: dict[TrustLevel, Trust] = {
    "unprivileged": Trust(
        security_context={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": list(BUILD_CAPABILITIES)},
        },
        comments={
            "securityContext": (
                "No seccompProfile: RuntimeDefault forbids the user namespace a build needs.\n"
                "Where the kubelet sets it by default, use jenkins/seccomp/podman-agent.json."
            ),
        },
    ),
    "userns": Trust(
        security_context={
            "capabilities": {"add": [*USERNS_CAPABILITIES]},
            "procMount": "Unmasked",
        },
        pod={"hostUsers": False},
        comments={
            "hostUsers": "Kubernetes 1.33 or newer, containerd 2.0 or newer, Linux 6.3 or newer.",
            "securityContext": "Valid inside the pod's own user namespace only.",
        },
    ),
    "privileged": Trust(
        security_context={"privileged": True},
    ),
}
