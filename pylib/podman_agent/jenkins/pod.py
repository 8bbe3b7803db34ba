"""From a few choices to the Kubernetes objects of a Jenkins agent: pure, no input or output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from podman_agent.errors import ConfigError, UsageError
from podman_agent.jenkins.trust import AGENT_USER, LEVELS
from podman_agent.pod import volume
from podman_agent.store.layout import DEFAULT_KEY, check_key

if TYPE_CHECKING:
    from podman_agent.jenkins.trust import Template, Trust

IMAGE = "localhost/jenkins-podman-agent:latest"
INBOUND_IMAGE = "jenkins/inbound-agent:latest-jdk21"
GRAPHROOT = str(volume.DEFAULT)
NAME_PREFIX = "podman-agent"

Layout = Literal["container", "single", "sidecar"]
CacheKind = Literal["none", "hostpath", "pvc", "ephemeral"]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?")


def check_quantity(option: str, value: str) -> None:
    """Raise `UsageError` unless `value` is a Kubernetes quantity such as 500m or 4Gi."""
    if not _QUANTITY.fullmatch(value):
        msg = f"{option} {value}: not a Kubernetes quantity"
        raise UsageError(msg, fix="write 500m, 2 or 4Gi")


@dataclass(frozen=True)
class Cache:
    """Where the graphroot lives.

    Attributes:
        kind: An emptyDir, a directory of the node, a claim that pods share, or one claim a pod.
        name: Path, name of the claim, or storage class (empty: the cluster's default).
        size: Size of the claim or limit of the emptyDir, as a Kubernetes quantity.
    """

    kind: CacheKind = "none"
    name: str = ""
    size: str = "30Gi"

    @classmethod
    def parse(cls, text: str, size: str = "30Gi") -> Cache:
        """Read `none`, `hostpath:/DIR`, `pvc:NAME` or `ephemeral[:STORAGE_CLASS]`.

        Raises:
            UsageError: Another word, a missing or relative path, a name Kubernetes would refuse.
        """
        kind, _, name = text.partition(":")
        check_quantity("--size", size)
        match kind:
            case "none" if not name:
                return cls("none", size=size)
            case "hostpath" if name.startswith("/") and name.strip("/"):
                return cls("hostpath", name, size)
            case "pvc" if _DNS_SUBDOMAIN.fullmatch(name):
                return cls("pvc", name, size)
            case "ephemeral" if not name or _DNS_SUBDOMAIN.fullmatch(name):
                return cls("ephemeral", name, size)
        msg = f"--cache {text}: not a cache"
        raise UsageError(
            msg,
            fix="use none, hostpath:/DIR, pvc:NAME or ephemeral[:STORAGE_CLASS]",
        )


@dataclass(frozen=True)
class Resources:
    """Requests and limits of one container, as Kubernetes quantities."""

    cpu: str
    memory: str
    cpu_limit: str
    memory_limit: str

    def __post_init__(self) -> None:
        for value in (self.cpu, self.memory, self.cpu_limit, self.memory_limit):
            check_quantity("resources", value)

    def field(self) -> dict[str, Any]:
        """The `resources` of a container."""
        return {
            "requests": {"cpu": self.cpu, "memory": self.memory},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit},
        }


BUILD_RESOURCES = Resources("500m", "1Gi", "2", "4Gi")
REMOTING_RESOURCES = Resources("100m", "256Mi", "500m", "512Mi")
# For podman_agent.agent.drain.SECONDS, and five each for java and for its end.
GRACE_SECONDS = 30
_CLAIMS: tuple[CacheKind, ...] = ("pvc", "ephemeral")
_INBOUND_CONTEXT = {
    "runAsNonRoot": True,
    "runAsUser": AGENT_USER,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class PodOptions:
    """The choices a pod template is made from.

    Attributes:
        name: Name of the pod as kubectl would create it; Jenkins gives each agent its own.
        trust: How far the cluster trusts the pod.
        cache: Where the graphroot lives.
        key: Business or team that has a part of a shared volume for itself; empty for the common one. The pod mounts
            that part only, one for each trust level.
        layout: `container`: beside the inbound agent that the kubernetes plugin adds; `single`: the
            image is the inbound agent itself; `sidecar`: the inbound agent is written out as well.
        image: Reference of the agent image.
        replace_entrypoint: Write `command: [cat]`, as templates of a docker world do, instead of
            `args: [cat]` behind the image's own init.
        resources: Requests and limits of the container that builds.
    """

    name: str
    trust: Template = "unprivileged"
    cache: Cache = Cache()
    key: str = ""
    layout: Layout = "container"
    image: str = IMAGE
    replace_entrypoint: bool = False
    resources: Resources = BUILD_RESOURCES

    def __post_init__(self) -> None:
        if not _DNS_SUBDOMAIN.fullmatch(self.name):
            msg = f"--name {self.name}: not a name Kubernetes accepts"
            raise UsageError(msg)
        try:
            check_key(self.key)
        except ConfigError as error:
            msg = f"--key {self.key}: not a plain name"
            raise UsageError(msg, fix=error.fix) from error
        if self.replace_entrypoint and self.layout == "single":
            msg = "--replace-entrypoint with --layout single: nothing would start the inbound agent"
            raise UsageError(
                msg,
                fix="drop one of the two",
            )
        if self.trust == "restricted" and self.cache.kind == "hostpath":
            msg = "--trust restricted --cache hostpath: Pod Security `restricted` admits no hostPath"
            raise UsageError(msg, fix="use --cache pvc:NAME, ephemeral or none")


def default_name(trust: Template, cache: Cache, layout: Layout) -> str:
    """A name that tells the choices, for a pod that was given none."""
    parts: list[str] = [NAME_PREFIX, trust]
    if cache.kind != "none":
        parts.append(cache.kind)
    if layout != "container":
        parts.append(layout)
    return "-".join(parts)


def objects(options: PodOptions) -> list[dict[str, Any]]:
    """The Kubernetes objects to apply, the claim before the pod that uses it."""
    made = [pod(options)]
    if options.cache.kind == "pvc":
        made.insert(0, claim(options.cache))
    return made


def claim(cache: Cache) -> dict[str, Any]:
    """The PersistentVolumeClaim of a `pvc` cache."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": cache.name},
        "spec": _claim_spec(cache),
    }


def pod(options: PodOptions) -> dict[str, Any]:
    """The Pod itself."""
    trust = LEVELS[options.trust]
    containers = [_builder(options)]
    if options.layout == "sidecar":
        containers.append(
            {
                "name": "jnlp",
                "image": INBOUND_IMAGE,
                **({"securityContext": _INBOUND_CONTEXT} if options.trust == "restricted" else {}),
                "resources": REMOTING_RESOURCES.field(),
            }
        )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": options.name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            **trust.pod,
            **_groups(trust, options.cache),
            "containers": containers,
            "volumes": [{"name": "storage", **_volume(options.cache)}],
        },
    }


def comments(options: PodOptions) -> dict[str, str]:
    """What to say above which field, as in `Trust.comments`."""
    said = dict(LEVELS[options.trust].comments)
    if options.replace_entrypoint:
        said["terminationGracePeriodSeconds"] = "cat as PID 1 ignores SIGTERM and takes all of it."
    else:
        said["terminationGracePeriodSeconds"] = "For what runs at the end; an idle pod is gone in two seconds."
    if options.cache.kind in _CLAIMS:
        if "securityContext" in said:  # the pod has one, too
            said[next(iter(LEVELS[options.trust].security_context))] = said.pop("securityContext")
        said["fsGroupChangePolicy"] = (
            "With any fsGroup: else each mount changes the modes of files inside image layers."
        )
    if options.trust == "restricted" and options.layout == "container":
        said["containers"] = "The plugin's own container jnlp: restrictedPssSecurityContext: true in the cloud."
    if options.layout != "single" and not options.replace_entrypoint:
        said["args"] = "args, not command: the image's init stays PID 1, reaps and ends builds."
    if options.replace_entrypoint:
        said["lifecycle"] = "cat as PID 1 ignores SIGTERM: builds are ended before it comes."
    if _key(options):
        said["env"] = "One key for each business or team: pods of one key use each other's layers."
        if _shared(options):
            said["volumeMounts"] = "The part of this trust level and key: what others can write is not there at all."
    if options.cache.kind == "hostpath":
        said["hostPath"] = "Any directory on a disk of the node; pods may share it."
    return said


def _builder(options: PodOptions) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "jnlp" if options.layout == "single" else "podman",
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
    }
    if options.layout != "single":
        made["command" if options.replace_entrypoint else "args"] = ["cat"]
        made["tty"] = True
    if options.replace_entrypoint:
        made["lifecycle"] = {"preStop": {"exec": {"command": ["podman-agent", "drain"]}}}
    if key := _key(options):
        made["env"] = [{"name": "PODMAN_AGENT_CACHE_KEY", "value": key}]
    return made | {
        "securityContext": LEVELS[options.trust].security_context,
        "resources": options.resources.field(),
        "volumeMounts": [{"name": "storage", "mountPath": GRAPHROOT, **_part(options)}],
    }


def _shared(options: PodOptions) -> bool:
    return options.cache.kind in ("hostpath", "pvc")


def _key(options: PodOptions) -> str:
    """A volume that pods share shows where each business gets a cache of its own; no other needs a key."""
    return options.key or (DEFAULT_KEY if _shared(options) else "")


def _part(options: PodOptions) -> dict[str, str]:
    """What the pod mounts of a volume that pods share (`podman_agent.store.parts`)."""
    return {"subPath": f"{LEVELS[options.trust].level}/{_key(options)}"} if _shared(options) else {}


def _groups(trust: Trust, cache: Cache) -> dict[str, Any]:
    """How a kubelet gives the files of a claim to a group, if it does: never again once the root of it is right."""
    if cache.kind not in _CLAIMS:
        return {}
    group = {"fsGroup": trust.user} if trust.user else {}
    return {"securityContext": group | {"fsGroupChangePolicy": "OnRootMismatch"}}


def _volume(cache: Cache) -> dict[str, Any]:
    match cache.kind:
        case "none":
            return {"emptyDir": {"sizeLimit": cache.size}}
        case "hostpath":
            return {"hostPath": {"path": cache.name, "type": "DirectoryOrCreate"}}
        case "pvc":
            return {"persistentVolumeClaim": {"claimName": cache.name}}
        case "ephemeral":
            return {"ephemeral": {"volumeClaimTemplate": {"spec": _claim_spec(cache)}}}


def _claim_spec(cache: Cache) -> dict[str, Any]:
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"]}
    if cache.kind == "ephemeral" and cache.name:
        spec["storageClassName"] = cache.name
    return spec | {"resources": {"requests": {"storage": cache.size}}}
