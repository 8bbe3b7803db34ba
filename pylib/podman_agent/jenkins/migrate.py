"""From a pod template that used a docker daemon, kaniko or buildah to one of ours: pure, no input or output.

What a template says of its builder in fields is decided here; what only a reader can know is listed as undecided.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podman_agent.jenkins import formats, pod
from podman_agent.jenkins.trust import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
# https://github.com/docker-library/docker: what its images and their entrypoint read
_DAEMON_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_CERTDIR", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_BUILDKIT")
_DAEMON_DIRECTORIES = ("/var/lib/docker", "/certs", "/certs/client", "/certs/ca")
# https://github.com/GoogleContainerTools/kaniko#pushing-to-different-registries
_KANIKO_LOGIN = "/kaniko/.docker"
_LOGIN = "/root/.docker"
# of the old container, in the new one
_KEPT = ("env", "envFrom", "resources", "workingDir", "volumeDevices", "terminationMessagePath")


@dataclass
class Migration:
    """What became of one input.

    Attributes:
        found: Kinds of builder that were met: `docker.sock`, `dind`, `kaniko`, `buildah`; empty means nothing to do.
        undecided: One line each, for a reader to decide.
    """

    found: set[str] = field(default_factory=set)
    undecided: list[str] = field(default_factory=list)

    def ask(self, text: str) -> None:
        """Add a line once."""
        if text not in self.undecided:
            self.undecided.append(text)


def image_kind(image: str) -> str:
    """What an image is by its name: `dind`, `docker`, `kaniko`, `buildah` or nothing of these."""
    bare = image.partition("@")[0]
    path, _, tag = bare.rpartition(":") if ":" in bare.rpartition("/")[2] else (bare, "", "")
    name = path.rpartition("/")[2]
    if "kaniko" in path:
        return "kaniko"
    if name in {"buildah", "podman"} or path.endswith(("buildah/stable", "podman/stable")):
        return "buildah"
    if name in {"dind", "dind-rootless"} or (name == "docker" and "dind" in tag):
        return "dind"
    return "docker" if name == "docker" or (name == "cli" and "docker" in path) else ""


def migrate_pod(made: dict[str, Any], options: pod.PodOptions, result: Migration) -> bool:
    """Change a pod in place, `kind: Pod` or what Jenkins merges as one.

    Args:
        made: The object as ruamel loaded it; its comments stay.
        options: The choices for the new builder; its name is not used.
        result: Gets what was found and what could not be decided.

    Returns:
        Whether there was anything to change.
    """
    spec = made.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("containers"), list):
        return False
    sockets = {v["name"] for v in _volumes(spec) if _is_socket(v)}
    users = [c for c in spec["containers"] if _needs_daemon(c, sockets)]
    kinds = {id(c): image_kind(str(c.get("image", ""))) for c in (*spec["containers"], *_init(spec))}
    found = {"docker.sock"} if sockets else set()
    found |= {kind for kind in kinds.values() if kind and kind != "docker"}
    if not found and not users:
        return False
    result.found |= found or {"dind"}
    clients = [c for c in spec["containers"] if kinds[id(c)] in {"docker", "kaniko", "buildah"}]
    daemons = [c for c in (*spec["containers"], *_init(spec)) if kinds[id(c)] == "dind"]
    builders = clients or [c for c in spec["containers"] if kinds[id(c)] == "dind"][:1]
    _ask_about_users(users, builders, builders[0].get("name", "podman") if builders else "podman", result)
    _drop_daemon(spec, sockets, [d for d in daemons if not any(d is b for b in builders)])
    _put_builder(spec, builders, kinds, options, result)
    _ask_about_pod(spec, options, result)
    return True


def _volumes(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [v for v in spec.get("volumes") or [] if isinstance(v, dict) and "name" in v]


def _init(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec.get("initContainers") or [])


def _is_socket(volume: dict[str, Any]) -> bool:
    path = str((volume.get("hostPath") or {}).get("path", "")).rstrip("/")
    return path in SOCKETS


def _mounts(container: dict[str, Any]) -> list[dict[str, Any]]:
    return list(container.get("volumeMounts") or [])


def _needs_daemon(container: dict[str, Any], sockets: set[str]) -> bool:
    variables = {e.get("name"): e.get("value") for e in container.get("env") or []}
    return any(m.get("name") in sockets for m in _mounts(container)) or bool(variables.get("DOCKER_HOST"))


def _ask_about_users(users: list[dict[str, Any]], builders: list[dict[str, Any]], name: str, result: Migration) -> None:
    for container in users:
        if not any(container is b for b in builders):
            result.ask(
                f"container {container.get('name')} ({container.get('image')}) talked to a daemon: run its docker "
                f"steps in container('{name}'), or build its image FROM ours; for Testcontainers see podman-agent serve"
            )
    for container in builders[1:]:
        result.ask(f"container {container.get('name')} is gone: its steps run in container('{name}') too")


def _drop_daemon(spec: dict[str, Any], sockets: set[str], daemons: list[dict[str, Any]]) -> None:
    for key in ("containers", "initContainers"):
        for daemon in daemons:
            if key in spec and any(c is daemon for c in spec[key]):
                spec[key].remove(daemon)
        if key in spec and not spec[key] and key == "initContainers":
            del spec[key]
    candidates = sockets | {m["name"] for d in daemons for m in _mounts(d)}
    for container in (*spec["containers"], *_init(spec)):
        for mount in _mounts(container):
            if mount.get("name") in sockets or str(mount.get("mountPath", "")).rstrip("/") in _DAEMON_DIRECTORIES:
                candidates.add(mount.get("name"))
                container["volumeMounts"].remove(mount)
        for entry in list(container.get("env") or []):
            if entry.get("name") in _DAEMON_VARIABLES:
                container["env"].remove(entry)
        for key in ("volumeMounts", "env"):
            if key in container and not container[key]:
                del container[key]
    _drop_unused(spec, candidates)


def _drop_unused(spec: dict[str, Any], names: set[Any]) -> None:
    used = {m.get("name") for c in (*spec["containers"], *_init(spec)) for m in _mounts(c)}
    for volume in _volumes(spec):
        if volume["name"] in names - used:
            spec["volumes"].remove(volume)


def _put_builder(
    spec: dict[str, Any],
    builders: list[dict[str, Any]],
    kinds: dict[int, str],
    options: pod.PodOptions,
    result: Migration,
) -> None:
    fresh = pod.pod(options)["spec"]
    new, storage = fresh["containers"][0], fresh["volumes"][0]
    old = builders[0] if builders else {}
    place = next((i for i, c in enumerate(spec["containers"]) if c is old), len(spec["containers"]))
    kind = kinds.get(id(old), "")
    new["name"] = old.get("name", new["name"])
    for key in _KEPT:
        if key in old:
            new[key] = [*new.get(key, []), *old[key]] if key == "env" else old[key]
    mounts, kept = _kept_mounts(old, result)
    if kept:
        new["volumeMounts"] = mounts
    else:
        storage["name"] = _free_name(storage["name"], {v["name"] for v in _volumes(spec)})
        new["volumeMounts"] = [{"name": storage["name"], "mountPath": pod.GRAPHROOT}, *mounts]
    if kind == "kaniko":
        result.ask(f"container('{new['name']}'): /kaniko/executor is not there; docker build and docker push are")
    if "runAsUser" in (old.get("securityContext") or {}):
        result.ask(
            f"container {new['name']} said runAsUser: {old['securityContext']['runAsUser']}; ours starts as root"
        )
    for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if key in old:
            result.ask(f"container {new['name']} had a {key}: it is dropped")
    for container in builders[1:]:
        spec["containers"].remove(container)
    if builders:
        spec["containers"].remove(old)
    place = min(place, len(spec["containers"]))
    spec["containers"].insert(place, formats.node(new, pod.comments(options)))
    if not kept:
        spec.setdefault("volumes", []).append(formats.node(storage, {}))
    _drop_unused(spec, {m.get("name") for c in builders for m in _mounts(c)})
    spec.update(LEVELS[options.trust].pod)


def _kept_mounts(old: dict[str, Any], result: Migration) -> tuple[list[dict[str, Any]], bool]:
    """The mounts that stay, and whether one of them is the store."""
    kept, store = [], False
    for mount in _mounts(old):
        path = str(mount.get("mountPath", "")).rstrip("/")
        if path == _KANIKO_LOGIN or path.startswith(_KANIKO_LOGIN + "/"):
            mount["mountPath"] = _LOGIN + path.removeprefix(_KANIKO_LOGIN)
            result.ask(f"volume {mount.get('name')}: the login is read at {_LOGIN}/config.json now")
        elif path in {"/var/lib/containers", "/var/lib/containers/storage", "/home/build/.local/share/containers"}:
            mount["mountPath"] = pod.GRAPHROOT
            store = True
            result.ask(
                f"volume {mount.get('name')} holds the store still: empty it once, what is in it was claimed by no pod"
            )
        elif path.startswith("/kaniko") or path == "/cache":
            result.ask(f"volume {mount.get('name')} at {path} was kaniko's: is it needed?")
        kept.append(mount)
    return kept, store


def _free_name(name: str, taken: set[str]) -> str:
    return next(n for n in _names(name) if n not in taken)


def _names(name: str) -> Iterator[str]:
    yield name
    yield f"podman-{name}"
    number = 2
    while True:
        yield f"podman-{name}-{number}"
        number += 1


def _ask_about_pod(spec: dict[str, Any], options: pod.PodOptions, result: Migration) -> None:
    context = spec.get("securityContext") or {}
    if context.get("runAsNonRoot") or "runAsUser" in context:
        result.ask(
            "securityContext of the pod: runAsUser and runAsNonRoot hold for the builder too, which starts as root"
        )
    profile = (context.get("seccompProfile") or {}).get("type")
    if profile == "RuntimeDefault" and options.trust == "unprivileged":
        result.ask(
            "seccompProfile RuntimeDefault of the pod: a build needs none, or the profile of docs/how-to/seccomp.md"
        )
    for volume in _volumes(spec):
        path = str((volume.get("hostPath") or {}).get("path", ""))
        if re.fullmatch(r"/(var/)?run/?|/var/lib/docker/?|.*containerd\.sock|.*crio\.sock", path):
            result.ask(f"volume {volume['name']} mounts {path} of the node: what for?")
    for container in spec["containers"]:
        if (container.get("securityContext") or {}).get("privileged") and options.trust != "privileged":
            result.ask(f"container {container.get('name')} is privileged still: does it have to be?")
