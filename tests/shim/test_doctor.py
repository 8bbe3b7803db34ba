"""`podman-agent doctor` on this machine with a fake podman: it fits a screen, and its JSON has the schema it says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from podman_agent.commands import doctor
from podman_agent.plan.advice import Advice, Trial
from podman_agent.plan.plan import Plan
from podman_agent.pod.facts import Facts
from shim.conftest import ROOT

if TYPE_CHECKING:
    from shim.conftest import Shim

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/reference/doctor.schema.json").read_text())
DOCTOR = (sys.executable, "-m", "podman_agent.cli", "doctor")


def say(shim: Shim, *options: str, **env: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [*DOCTOR, *options], env={**shim.env, "PYTHONPATH": str(ROOT / "pylib"), **env}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_it_fits_a_screen_and_the_long_form_says_why(shim: Shim) -> None:
    lines = say(shim).splitlines()
    assert len(lines) <= 32
    assert max(map(len, lines)) <= 100
    assert lines[-1] in ("fine", "degraded")
    assert "isolation=" in " ".join(lines)
    long = say(shim, "-v")
    assert all(reason in long for reason in ("\nisolation", ": ", "https://"))
    assert len(long.splitlines()) > len(lines)


def test_its_json_has_the_schema_it_says(shim: Shim) -> None:
    report = json.loads(say(shim, "--json"))
    Draft202012Validator(SCHEMA).validate(report)
    assert report["schema"] == SCHEMA["properties"]["schema"]["const"] == doctor.SCHEMA
    broken = Draft202012Validator(SCHEMA)
    assert not broken.is_valid({**report, "schema": 2})
    assert not broken.is_valid({k: v for k, v in report.items() if k != "plan"})


@pytest.mark.parametrize(("name", "kind"), [("facts", Facts), ("plan", Plan), ("advice", Advice), ("trials", Trial)])
def test_the_schema_has_every_field(name: str, kind: Any) -> None:
    part = SCHEMA["properties"][name]
    part = part.get("items", part)
    assert part["required"] == list(part["properties"]) == [field.name for field in fields(kind)]


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_a_terminal_that_has_it(shim: Shim, env: dict[str, str], *, coloured: bool) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        DOCTOR, env={**shim.env, "PYTHONPATH": str(ROOT / "pylib"), **env}, stdout=side, stdin=side
    )
    os.close(side)
    said = b""
    try:
        while read := os.read(main, 65536):
            said += read
    except OSError:  # EIO: the other end is closed
        pass
    os.close(main)
    assert process.wait(60) in (0, 1)
    assert (b"\033[1mfound" in said) == coloured
    assert b"found" in said
