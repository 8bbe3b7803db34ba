"""Small differences of single verbs, as a table."""

from __future__ import annotations

import pytest
from podman_agent.docker import flags, run


def translated(*args: str, verb: str = "run", made: list[str] | None = None, **env: str) -> list[str]:
    return run.translate(
        list(args), verb, env, lambda name: ("10.0.0.2", f"{name}-name"), (made if made is not None else []).append
    )


def test_the_default_platform_holds_unless_one_is_given() -> None:
    assert translated("img", DOCKER_DEFAULT_PLATFORM="linux/arm64") == ["--platform=linux/arm64", "img"]
    assert translated("--platform=x", "img", DOCKER_DEFAULT_PLATFORM="linux/arm64") == ["--platform=x", "img"]


@pytest.mark.parametrize(
    ("verb", "args", "wanted"),
    [
        ("stop", ["--timeout=1", "c"], ["stop", "--time=1", "c"]),
        ("stop", ["-s", "KILL", "-t", "1", "c"], ["stop", "--time=1", "c"]),
        ("logs", ["-n", "5", "-f", "c"], ["logs", "--tail=5", "--follow", "c"]),
        ("volume create", ["--name", "v"], ["volume", "create", "v"]),
        ("network create", ["--attachable", "-d", "bridge", "n"], ["network", "create", "--driver=bridge", "n"]),
        ("commit", ["-m", "text", "c", "i"], ["commit", "--format=docker", "--message=text", "c", "i"]),
    ],
)
def test_small_differences_are_a_table(verb: str, args: list[str], wanted: list[str]) -> None:
    assert flags.translate(verb, args) == wanted
