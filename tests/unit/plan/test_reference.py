"""Image names are taken apart as docker's reference grammar has it."""

from __future__ import annotations

import pytest
from podman_agent.errors import UsageError
from podman_agent.plan.reference import Reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("team/x:1", "docker.io/team/x:1"),
        ("localhost/x", "localhost/x:latest"),
        ("r.example:5000/a/b_c--d:v1", "r.example:5000/a/b_c--d:v1"),
        ("[::1]:5000/x:1", "[::1]:5000/x:1"),
        ("docker://r.example/x@sha256:" + "0" * 64, "r.example/x@sha256:" + "0" * 64),
    ],
)
def test_a_name_is_completed_as_docker_does(text: str, expected: str) -> None:
    """One without a registry is on docker.io."""
    assert str(Reference.parse(text)) == expected


@pytest.mark.parametrize("text", ["", "r.example/UP:1", "a b", "r.example/x:@@", "x:" + "t" * 129])
def test_an_invalid_name_is_a_usage_error(text: str) -> None:
    """No attempt could cure it."""
    with pytest.raises(UsageError, match="not a valid image name"):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("name", "bare"),
    [("a", "a"), ("a:1", "a"), ("h:5000/a", "h:5000/a"), ("h:5000/a:1", "h:5000/a"), ("h/a@sha256:1", "h/a")],
)
def test_tags_are_told_from_ports(name: str, bare: str) -> None:
    """Whatever else the name is."""
    assert Reference.bare(name) == bare
