"""The trust levels of a pod and what each asks of Kubernetes: the one place that says so.

What each level can do was measured, pod shape by pod shape; `podman-agent doctor` explains a
running pod in the same terms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from podman_agent.pod.capabilities import Capability
    from podman_agent.pod.values import TrustLevel

Template = Literal["unprivileged", "restricted", "userns", "privileged"]

# The least with which podman can map ids into the user namespace it makes for itself (all else a build does as root it
# does inside that namespace, measured in tests/pods; without SETFCAP the kernel refuses a map that holds id 0:
# https://man7.org/linux/man-pages/man7/user_namespaces.7.html), and DAC_OVERRIDE, without which root cannot write into
# the workspace that the inbound agent's user 1000 owns.
BUILD_CAPABILITIES: tuple[Capability, ...] = ("DAC_OVERRIDE", "SETFCAP", "SETGID", "SETUID")


# Over its own user namespace only. NET_ADMIN is for the networks of `docker run -p`, --network and compose.
USERNS_CAPABILITIES: tuple[Capability, ...] = ("NET_ADMIN", "SYS_ADMIN")
# The user of the image, and of the inbound agent's.
AGENT_USER = 1000


@dataclass(frozen=True)
class Trust:
    """What one level asks of the cluster.

    Attributes:
        level: The border on a shared volume that such pods are behind.
        security_context: The container's `securityContext`; empty means none.
        user: The id its processes have; 0 where that is root.
        pod: Further fields of the pod's `spec`.
        comments: Name of a field to what a reader would ask about it.
    """

    level: TrustLevel
    security_context: dict[str, Any] = field(default_factory=dict)
    user: int = 0
    pod: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


LEVELS: dict[Template, Trust] = {
    "unprivileged": Trust(
        level="unprivileged",
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
    "restricted": Trust(
        level="unprivileged",
        security_context={
            "runAsNonRoot": True,
            "runAsUser": AGENT_USER,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "podman-agent.json"},
        },
        user=AGENT_USER,
        comments={
            "securityContext": (
                "jenkins/seccomp/install.yaml installs the profile: under RuntimeDefault this user cannot build.\n"
                "One user id: steps run as root of it; COPY --chown, RUN chown and USER of other ids fail."
            ),
        },
    ),
    "userns": Trust(
        level="userns",
        security_context={
            "capabilities": {"add": [*USERNS_CAPABILITIES]},
            "procMount": "Unmasked",
            "seccompProfile": {"type": "Unconfined"},
        },
        pod={"hostUsers": False},
        comments={
            "hostUsers": "Kubernetes 1.33 or newer, containerd 2.0 or newer, Linux 6.3 or newer.",
            "securityContext": (
                "Valid inside the pod's own user namespace only.\n"
                "Unconfined: RuntimeDefault, which a kubelet may set by default, has no pivot_root for docker run."
            ),
        },
    ),
    "privileged": Trust(
        level="privileged",
        security_context={"privileged": True},
    ),
}
