"""How a pod template is written down: a file for kubectl, JCasC, a Jenkinsfile stanza.

ruamel.yaml and not PyYAML, because the files carry comments.
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

CLOUD_NAME = "kubernetes"
JENKINS_URL = "http://jenkins:8080/"
CONTAINER_CAP = "20"
# What the shipped files were run on; anything older is untried.
RUN_ON = "Run on Jenkins 2.439 with kubernetes 4174, docker-workflow 572, pipeline-model-definition 2.2168"


def to_yaml(objects: list[dict[str, Any]], comments: dict[str, str] | None = None) -> str:
    """One YAML document an object, each comment above the first field of its name."""
    comments = dict(comments or {})
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1000
    documents = []
    for value in objects:
        text = io.StringIO()
        yaml.dump(node(value, comments), text)
        documents.append(text.getvalue())
    return "---\n".join(documents)


def to_jcasc(templates: dict[str, str]) -> str:
    """A `kubernetes` cloud whose pod templates are given as label -> YAML of the pod.

    The keys are those of the kubernetes plugin
    (https://github.com/jenkinsci/kubernetes-plugin/tree/master/src/test/resources/org/csanchez/jenkins/plugins/kubernetes/casc).
    """
    cloud = {
        "name": CLOUD_NAME,
        "jenkinsUrl": JENKINS_URL,
        "webSocket": True,
        "containerCapStr": CONTAINER_CAP,
        "templates": [
            {"name": label, "label": label, "yaml": LiteralScalarString(_jcasc_escaped(text))}
            for label, text in templates.items()
        ],
    }
    return to_yaml(
        [{"jenkins": {"clouds": [{"kubernetes": cloud}]}}],
        {"clouds": RUN_ON, "webSocket": "Agents connect through the HTTP port: no TCP port to open."},
    )


def to_jenkinsfile(pod: str, container: str) -> str:
    """The `agent` stanza of a declarative pipeline, around the YAML of a pod."""
    escaped = pod.replace("\\", "\\\\").replace("'''", "\\'\\'\\'")
    return (
        "agent {\n"
        "    kubernetes {\n"
        f"        defaultContainer '{container}'\n"
        "        yaml '''\n"
        f"{escaped}'''\n"
        "    }\n"
        "}\n"
    )


def _jcasc_escaped(text: str) -> str:
    # https://github.com/jenkinsci/configuration-as-code-plugin/blob/master/docs/features/secrets.adoc
    return text.replace("${", "^${")


def node(value: Any, comments: dict[str, str], indent: int = 0) -> Any:
    """A value as ruamel writes it in our style; each comment is used up by the first field of its name."""
    match value:
        case dict():
            mapping = CommentedMap()
            for key, child in value.items():
                mapping[key] = node(child, comments, indent + 2)
                if key in comments:
                    mapping.yaml_set_comment_before_after_key(key, before=comments.pop(key), indent=indent)
            return mapping
        case list():
            # A dash is set two columns in, and what follows it two more.
            sequence = CommentedSeq(node(child, comments, indent + 2) for child in value)
            if all(isinstance(child, str) for child in value):
                sequence.fa.set_flow_style()
            return sequence
        case str() if value.isdigit():
            return DoubleQuotedScalarString(value)
    return value
