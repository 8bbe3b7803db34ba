"""The Configuration as Code file: the plugin's own keys, and each template a shipped pod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
# What the files under src/test/resources/.../casc/ of jenkinsci/kubernetes-plugin use, with the
# setters of KubernetesCloud and PodTemplate: Configuration as Code refuses any other key.
CLOUD_KEYS = {"name", "jenkinsUrl", "webSocket", "containerCapStr", "templates"}
TEMPLATE_KEYS = {"name", "label", "yaml"}


def load() -> dict[str, Any]:
    casc = yaml.safe_load((ROOT / "jenkins/casc/podman-agent.yaml").read_text())
    [cloud] = casc["jenkins"]["clouds"]
    found: dict[str, Any] = cloud["kubernetes"]
    return found


def test_keys_are_the_plugins_own() -> None:
    cloud = load()
    assert cloud.keys() == CLOUD_KEYS
    for template in cloud["templates"]:
        assert template.keys() == TEMPLATE_KEYS


def test_each_template_is_one_shipped_pod_and_none_is_missing() -> None:
    shipped = {}
    for path in (ROOT / "jenkins/pods").glob("*.yaml"):
        pod = list(yaml.safe_load_all(path.read_text()))[-1]
        shipped[pod["metadata"]["name"]] = pod
    templates = {made["label"]: yaml.safe_load(made["yaml"]) for made in load()["templates"]}
    assert templates == shipped
