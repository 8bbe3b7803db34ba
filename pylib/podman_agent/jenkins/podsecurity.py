"""Which Pod Security level admits a pod.

The rules are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/ for
Linux, as its tables stand for Kubernetes 1.34; no packaged Python library evaluates them. The
exceptions that some clusters make for pods with a user namespace are left out: they are optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Level = Literal["restricted", "baseline", "privileged"]

BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
BASELINE_SELINUX_TYPES = frozenset(
    {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
BASELINE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    }
)
RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def level(pod: dict[str, Any]) -> Level:
    """The strictest level whose rules the pod keeps."""
    if next(baseline_violations(pod), None):
        return "privileged"
    return "baseline" if next(restricted_violations(pod), None) else "restricted"


def baseline_violations(pod: dict[str, Any]) -> Iterator[str]:
    """Fields of the pod, with their values, that the baseline level forbids."""
    spec = pod["spec"]
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{key}: true"
    for volume in spec.get("volumes", ()):
        if "hostPath" in volume:
            yield f"volume {volume['name']}: hostPath"
    for sysctl in spec.get("securityContext", {}).get("sysctls", ()):
        if sysctl["name"] not in BASELINE_SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    for where, context in _contexts(pod):
        yield from (f"{where}: {what}" for what in _baseline_context(context))
    for container in _containers(spec):
        for port in container.get("ports", ()):
            if port.get("hostPort"):
                yield f"{container['name']}: hostPort {port['hostPort']}"


def restricted_violations(pod: dict[str, Any]) -> Iterator[str]:
    """Fields that the restricted level forbids or misses, those of baseline not repeated."""
    spec = pod["spec"]
    common = spec.get("securityContext", {})
    for volume in spec.get("volumes", ()):
        for kind in volume.keys() - {"name"} - RESTRICTED_VOLUMES:
            yield f"volume {volume['name']}: {kind}"
    for container in _containers(spec):
        context = common | container.get("securityContext", {})
        capabilities = context.get("capabilities", {})
        missing = {
            "allowPrivilegeEscalation: false": context.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot: true": context.get("runAsNonRoot") is True,
            "runAsUser other than 0": context.get("runAsUser") != 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "capabilities drop ALL": "ALL" in capabilities.get("drop", ()),
            "no capability but NET_BIND_SERVICE": not (set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}),
        }
        yield from (f"{container['name']}: {what}" for what, kept in missing.items() if not kept)


def _baseline_context(context: dict[str, Any]) -> Iterator[str]:
    if context.get("privileged"):
        yield "privileged: true"
    for capability in context.get("capabilities", {}).get("add", ()):
        if capability not in BASELINE_CAPABILITIES:
            yield f"capability {capability}"
    if context.get("procMount", "Default") != "Default":
        yield f"procMount: {context['procMount']}"
    for profile in ("seccompProfile", "appArmorProfile"):
        if context.get(profile, {}).get("type") == "Unconfined":
            yield f"{profile}: Unconfined"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type") not in BASELINE_SELINUX_TYPES or selinux.keys() & {"user", "role"}:
        yield "seLinuxOptions"


def _containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind, ())


def _contexts(pod: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "pod", pod["spec"].get("securityContext", {})
    for container in _containers(pod["spec"]):
        yield container["name"], container.get("securityContext", {})
