"""What `docker cp` copies, and whose it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from podman_agent.docker import copying


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["f", "c:/a"], ["cp", "--archive=false", "f", "c:/a"]),
        (["-aLq", "c:/x", "-"], ["cp", "--archive=true", "c:/x", "-"]),
        (["-", "c:/a"], ["cp", "--archive=false", "-", "c:/a"]),
        (["c:.", "out"], ["cp", "--archive=false", "c:.", "out"]),
    ],
)
def test_owners_stay_unless_docker_is_told_to_give_them_away(args: list[str], wanted: list[str]) -> None:
    assert copying.translate(args) == wanted


@pytest.mark.parametrize("source", [".", "./", "./.", "./src/..//."])
def test_a_dot_is_what_is_in_the_directory(source: str) -> None:
    assert copying.translate([source, "c:/a"])[2] == f"{Path.cwd()}/."


def test_a_directory_by_its_name_is_the_directory() -> None:
    assert [copying.translate([source, "c:/a"])[2] for source in ("src", "src/", "..")] == ["src", "src/", ".."]
    assert copying.translate(["src/.", "c:/a"])[2] == f"{Path.cwd()}/src/."


@pytest.mark.parametrize(("arg", "container"), [("c:/a", "c"), ("./c:a", ""), ("/c:a", ""), ("-", ""), ("file", "")])
def test_which_operand_names_a_container(arg: str, container: str) -> None:
    assert copying.container_of(arg) == container
