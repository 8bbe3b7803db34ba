"""Senseless command lines."""

from __future__ import annotations

from typing import Any

import pytest
from podman_agent.cli import main


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["build", "a", "b"], 64, "more than one context"),
        (["build", "--image", "r.example/x", "."], 64, "has no tags"),
        (["build", "--build-arg", "NO_SUCH_VARIABLE_X", "."], 64, "no such variable"),
        (["build", "--bake", "nowhere.hcl"], 65, "cannot read nowhere.hcl"),
        (["build", "--bake", "x.hcl", "-t", "y"], 64, "is for one image"),
        (["push"], 64, "required"),
        (["push", "r.example/UP"], 64, "not a valid image name"),
        (["login", "r.example", "-u", "x"], 64, "required"),
        (["login", "r.example", "-u", "x", "--password-env", "NO_SUCH_VARIABLE_X"], 78, "is not set"),
        (["login", "r.example", "-u", "x", "--password-file", "/nowhere"], 78, "cannot read"),
    ],
)
def test_senseless_arguments_are_one_line_and_an_exit_code(
    argv: Any, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
