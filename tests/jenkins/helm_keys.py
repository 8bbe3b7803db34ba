"""The keys of the Helm chart's values, for tests/fixtures/helm: python3 tests/jenkins/helm_keys.py CHART < FILE

Source: charts/jenkins/values.yaml of https://github.com/jenkinsci/helm-charts. Its own comments and values stay there.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator


def keys(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each key with the kind of its default: `map`, `list`, `str`, `bool`, `int` or `null`."""
    kinds = {dict: "map", list: "list", type(None): "null"}
    for name, value in values.items():
        path = f"{above}{name}"
        yield path, kinds.get(type(value), type(value).__name__)
        if isinstance(value, dict):
            yield from keys(value, f"{path}.")


if __name__ == "__main__":
    recorded = {"chart": sys.argv[1], "keys": dict(keys(yaml.safe_load(sys.stdin)))}
    print(json.dumps(recorded, indent=1))
