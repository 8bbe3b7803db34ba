"""Our bake against what buildx 0.29.1 said of the same files; `record.py` asks it anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from oracles.bake.cases import Case, cases
from oracles.bake.record import lay
from podman_agent.docker import bake
from podman_agent.docker.call import Call
from podman_agent.errors import PodmanAgentError

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "buildx-0.29.1.json").read_text(encoding="utf-8"))
CASES = list(cases())
# Where ours differs, and why; a row in docs/reference/docker.md each.
_DROPPED = "buildx reads the key and drops its value; ours does what was asked"
_NEWER = "a function of later buildx"
_CRASH = "buildx crashes on an empty list of the environment"
MEANT: dict[str, str] = {
    "expression 1 / 3": "the last of 155 digits",
    'expression contains(M, "v")': "to go-cty a written object is no map; to ours it is",
    "expression length(M)": "the same",
    'expression semvercmp("1.2.3", "^1.2")': _NEWER,
    'expression formattimestamp("X", "2026-11-23T09:05:07Z")': _NEWER,
    "expression unixtimestampparse(1700000000).rfc3339": _NEWER,
    "asked --set app.network=host": _DROPPED,
    "asked --set app.network=none": _DROPPED,
    "asked --set app.no-cache-filter=stage": _DROPPED,
    "asked --set app.ulimits=nofile=1024": _DROPPED,
    "asked --set app.tags.x=1": "tags have no names: buildx takes it for nothing, ours refuses it",
    "variable 'type = list(string)' =": _CRASH,
    "variable 'type = list(string)\\n  default = [\"d\"]' =": _CRASH,
    "HCL a target by a key": 'buildx finds target.NAME only, not target["NAME"]',
    "compose all fields": "64m is printed as written, not as 64MiB",
}


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Case], Any]:
    """What our ``docker buildx bake --print`` prints of a case, or None where it refuses."""

    def asked(case: Case) -> Any:
        monkeypatch.chdir(tmp_path)
        # the one variable that functions read for themselves
        monkeypatch.setenv("HOME", "/root")
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", **case.env}
        args = ["--print", *lay(case, tmp_path), *case.options, *case.names]
        try:
            assert bake.run(Call("podman", [], environment, []), "bake", args) == 0
        except PodmanAgentError:
            return None
        return json.loads(capsys.readouterr().out)

    return asked


def shown(answer: Any) -> Any:
    """An answer without the order of what a matrix makes, which buildx itself does not keep."""
    if answer is None:
        return None
    groups = {name: sorted(group["targets"] or []) for name, group in answer["group"].items()}
    return {"group": groups, "target": answer["target"]}


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_bake_prints_what_buildx_prints(case: Case, ask: Callable[[Case], Any]) -> None:
    ours, theirs = shown(ask(case)), shown(RECORDED[case.name])
    if case.name in MEANT:
        assert ours != theirs, f"{case.name} is equal now: take it out of MEANT"
    else:
        assert ours == theirs


def test_every_case_is_recorded_once() -> None:
    names = [c.name for c in CASES]
    assert len(set(names)) == len(names)
    assert set(names) == set(RECORDED)
    assert len(names) >= 400


def test_what_differs_is_little_and_has_a_reason() -> None:
    assert set(MEANT) <= set(RECORDED)
    assert len(MEANT) <= len(CASES) * 0.02
    assert all(MEANT.values())
