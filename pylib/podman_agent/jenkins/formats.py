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
# https://github.com/jenkinsci/helm-charts/tree/jenkins-5.9.53/charts/jenkins
HELM_CHART = "jenkins 5.9.53"
HELM_ACCOUNT = "podman-agent"


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


def to_helm(templates: dict[str, str], objects: list[str]) -> str:
    """Values for the chart `jenkins` of jenkinsci/helm-charts: pod templates for its cloud, and what they need.

    Args:
        templates: Label to YAML of the pod.
        objects: YAML of each further object; the chart installs them with the release.

    Its keys and its use of `tpl` on both are those of `HELM_CHART` (values.yaml, templates/_helpers.tpl,
    templates/extra-objects.yaml).
    """
    agent: dict[str, Any] = {
        "websocket": True,
        "podTemplates": {label: LiteralScalarString(_helm_template(label, text)) for label, text in templates.items()},
    }
    values = {
        "agent": agent,
        "serviceAccountAgent": {"create": True, "name": HELM_ACCOUNT, "automountServiceAccountToken": False},
        "extraObjects": [LiteralScalarString(_helm_escaped(text)) for text in objects],
    }
    comments = {
        "agent": f"Checked against the keys of chart {HELM_CHART}. {RUN_ON}",
        "websocket": "Agents connect through the HTTP port: no TCP port to open.",
        "podTemplates": "Needs controller.JCasC.defaultConfig: true, which is the chart's default.",
        "create": "A build needs nothing of the API server: no role, no token.",
        "extraObjects": "Drop what you do not use: a claim, its garbage collection, the seccomp profile on each node.",
    }
    return to_yaml([values], comments)


def _helm_template(label: str, text: str) -> str:
    template = {
        "name": label,
        "label": label,
        "serviceAccount": HELM_ACCOUNT,
        "yaml": LiteralScalarString(_jcasc_escaped(text)),
    }
    out = io.StringIO()
    YAML().dump([template], out)
    return _helm_escaped(out.getvalue())


def _helm_escaped(text: str) -> str:
    # https://helm.sh/docs/howto/charts_tips_and_tricks/#using-the-tpl-function
    return text.replace("{{", '{{ "{{" }}')


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
            if all(isinstance(child, str) and "\n" not in child for child in value):
                sequence.fa.set_flow_style()
            return sequence
        case str() if value.isdigit():
            return DoubleQuotedScalarString(value)
    return value
