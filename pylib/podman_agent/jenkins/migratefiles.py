"""Where pods stand in files: YAML documents, strings in YAML (Configuration as Code, Helm), literals in Groovy."""

from __future__ import annotations

import io
import re
import textwrap
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from podman_agent.errors import DataError
from podman_agent.jenkins import formats, pod
from podman_agent.jenkins.migrate import SOCKETS, Migration, image_kind, migrate_pod

if TYPE_CHECKING:
    from collections.abc import Iterator

_LITERAL = re.compile(r"('''|\"\"\")(.*?)(?<!\\)\1", re.DOTALL)
# what a step says that a pod template does not; each with the line to print
_STEPS = {
    r"/kaniko/executor": "kaniko's executor: say docker build and docker push",
    r"docker\.sock": "the socket is named: `podman-agent serve` gives one for a stage, else drop it",
    r"\bDOCKER_HOST\b|\bdocker\s+-H\b|tcp://[a-z0-9.]+:237[56]": "a daemon is named: there is none, drop it",
    r"\bdockerd\b": "a daemon is started: there is none to start, drop it",
    r"\b(containerTemplate|hostPathVolume)\b": "a template in Groovy, not YAML: write it with podman-agent pod",
    r"\byamlFile\b": "the pod is in a file of its own: migrate that one too",
}


def migrate_yaml(text: str, options: pod.PodOptions) -> tuple[str, Migration]:
    """Rewrite every pod in YAML text, at the top or in strings below it.

    Raises:
        DataError: It is no YAML.
    """
    result = Migration()
    new = _documents(text, options, result)
    return (text if new is None else new), result


def migrate_groovy(text: str, options: pod.PodOptions) -> tuple[str, Migration]:
    """Rewrite every pod in a triple-quoted literal of a Jenkinsfile; the rest is left, and asked about."""
    result = Migration()
    spans: list[range] = []

    def rewritten(match: re.Match[str]) -> str:
        quotes, body = match.groups()
        if not re.search(r"^\s*containers\s*:", body, re.MULTILINE):
            return match[0]
        spans.append(range(match.start(), match.end()))
        line = text.count("\n", 0, match.start()) + 1
        if "\\" in body or (quotes == '"""' and "$" in body):
            result.ask(f"line {line}: this pod is no plain literal ($ or \\ in it): write it as one, or by hand")
            return match[0]
        try:
            new = _documents(textwrap.dedent(body.lstrip("\n")), options, result)
        except DataError:
            result.ask(f"line {line}: this looks like a pod and is no YAML")
            return match[0]
        if new is None:
            return match[0]
        margin = re.match(r"\n*([ ]*)", body)
        escaped = new.replace("\\", "\\\\").replace("$", "\\$" if quotes == '"""' else "$")
        tail = re.search(r"[ ]*$", body)
        return f"{quotes}\n{textwrap.indent(escaped, margin[1] if margin else '')}{tail[0] if tail else ''}{quotes}"

    changed = _LITERAL.sub(rewritten, text)
    for pattern, what in _STEPS.items():
        for match in re.finditer(pattern, text):
            if not any(match.start() in span for span in spans):
                result.ask(f"line {text.count(chr(10), 0, match.start()) + 1}: {what}")
    return changed, result


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1000
    return yaml


def _documents(text: str, options: pod.PodOptions, result: Migration) -> str | None:
    """The text with its pods rewritten, or None where nothing was to do."""
    yaml = _yaml()
    try:
        documents = list(yaml.load_all(text))
    except (YAMLError, ValueError) as error:
        msg = "not YAML"
        raise DataError(msg, str(error)) from error
    changed = [_walk(document, options, result) for document in documents]
    if not any(changed):
        return None
    out = io.StringIO()
    yaml.dump_all(documents, out)
    return out.getvalue()


def _walk(value: Any, options: pod.PodOptions, result: Migration) -> bool:
    if not isinstance(value, dict | list):
        return False
    if isinstance(value, dict):
        if migrate_pod(value, options, result):
            return True
        if _is_template(value) and _template(value, options, result):
            return True
    changed = False
    for key, child in _children(value):
        if isinstance(child, str) and re.search(r"^\s*(- )?(\"?)containers\2\s*:", child, re.MULTILINE):
            try:
                new = _documents(child, options, result)
            except DataError:
                result.ask(f"{key}: this looks like a pod and is no YAML")
                continue
            if new is not None:
                value[key] = LiteralScalarString(new)
                changed = True
        else:
            changed = _walk(child, options, result) or changed
    return changed


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    yield from list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _is_template(value: dict[str, Any]) -> bool:
    """A pod template in the kubernetes plugin's own keys (Configuration as Code)."""
    return isinstance(value.get("containers"), list) and ("label" in value or "name" in value)


def _template(template: dict[str, Any], options: pod.PodOptions, result: Migration) -> bool:
    """Take the daemon out of a template in the plugin's keys, and give it our container as YAML."""
    sockets = [v for v in template.get("volumes") or [] if _socket_volume(v)]
    kinds = [(c, image_kind(str(c.get("image", "")))) for c in template["containers"]]
    builders = [(c, kind) for c, kind in kinds if kind]
    if not sockets and not any(kind != "docker" for _, kind in builders):
        return False
    result.found |= ({"docker.sock"} if sockets else set()) | {kind for _, kind in builders if kind != "docker"}
    # a client's name before a daemon's: it is the one that steps name
    named = sorted(builders, key=lambda pair: pair[1] == "dind")
    name = str(named[0][0].get("name", "podman")) if named else "podman"
    for container, kind in builders:
        template["containers"].remove(container)
        if container.get("name") != name:
            result.ask(f"container {container.get('name')} is gone: its steps run in container('{name}') too")
        for key in ("envVars", "livenessProbe"):
            if container.get(key):
                result.ask(f"container {container.get('name')} had {key}: it is dropped")
        if kind == "kaniko":
            result.ask(f"container('{name}'): /kaniko/executor is not there; docker build and docker push are")
    if not builders:
        images = ", ".join(str(c.get("image")) for c in template["containers"])
        result.ask(f"template {template.get('name')}: its docker steps ({images}) run in container('{name}') now")
    for volume in sockets:
        template["volumes"].remove(volume)
    for key in ("containers", "volumes"):
        if key in template and not template[key]:
            del template[key]
    made = pod.pod(options)
    made["spec"]["containers"][0]["name"] = name
    del made["metadata"]
    if template.get("yaml"):
        result.ask(f"template {template.get('name')} had yaml of its own: merge it by hand, ours replaced it")
    template["yaml"] = LiteralScalarString(formats.to_yaml([made], pod.comments(options)))
    return True


def _socket_volume(volume: Any) -> bool:
    path = str((volume.get("hostPathVolume") or {}).get("hostPath", "")) if isinstance(volume, dict) else ""
    return path in SOCKETS
