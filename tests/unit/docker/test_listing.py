"""Names in lists."""

from __future__ import annotations

import pytest
from podman_agent.docker import listing


def test_names_in_lists_lose_what_docker_implies_and_keep_their_columns() -> None:
    lines = "localhost/a               1   x\ndocker.io/library/busybox 2   y\nr.example/localhost/z 3 z\n"
    assert listing.familiar_names(lines) == "a               1   x\n".replace("1", "          1", 1) + (
        "busybox 2   y\nr.example/localhost/z 3 z\n"
    )


@pytest.mark.parametrize(
    ("row", "asked", "wanted"),
    [("localhost/a:1", "a", True), ("localhost/a:1", "a:2", False), ("docker.io/library/a:1", "a", True),
     ("r.example:5000/a:1", "r.example:5000/a", True), ("r/a:1", "a", False), ("localhost/ab:1", "a*", True)],
)  # fmt: skip
def test_only_the_names_asked_for_are_listed(row: str, asked: str, wanted: bool) -> None:
    assert listing.named(row, asked) is wanted


def test_a_table_of_containers_has_dockers_names_in_its_image_column_only() -> None:
    table = [
        "CONTAINER ID  IMAGE             COMMAND           NAMES",
        "846c619fc2e6  localhost/a:1     curl localhost/x  c",
        "846c619fc2e7  r.example/b:1     sh                d",
    ]
    assert listing.image_column(table) == [
        table[0],
        "846c619fc2e6  a:1               curl localhost/x  c",
        table[2],
    ]
    assert listing.image_column([]) == []
