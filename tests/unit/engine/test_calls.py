"""How podman is called, with one that only writes down its arguments."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.engine.engine import Engine
from podman_agent.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

FAKE = """#!{python}
import sys, os
with open("{log}", "a") as f:
    print(*sys.argv[1:], sep="\\x1f", file=f)
if "--version" in sys.argv:
    print("podman version {version}")
    sys.exit()
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A podman that writes its argv down and fails or succeeds as told."""

    def make(script: str) -> Engine:
        program = tmp_path / "bin/podman"
        program.parent.mkdir(exist_ok=True)
        version, _, rest = script.partition(" ")
        program.write_text(FAKE.format(python=sys.executable, log=tmp_path / "argv", version=version) + rest)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return Engine()

    return make


@pytest.mark.parametrize(("version", "flag"), [("5.4.2", True), ("4.9.3", False)])
def test_podmans_own_retry_is_off_where_it_can_be(fake: Any, tmp_path: Path, version: str, flag: bool) -> None:
    engine = fake(f"{version} print('sha256:1' if sys.argv[1] == 'pull' else '[{{\"Digest\": \"d\"}}]')")
    engine.pull("r.example/x:1")
    pull = next(line for line in (tmp_path / "argv").read_text().splitlines() if line.startswith("pull"))
    assert ("--retry=0" in pull) is flag


def test_a_failure_keeps_podmans_exit_code_and_its_last_error_without_secrets(fake: Any) -> None:
    said = "Error: first\\nError: GET https://u:hunter2@r/: no"
    engine = fake(f"5.4.2 print('{said}', file=sys.stderr); sys.exit(42)")
    with pytest.raises(EngineError, match=r"run x: GET https://\*\*\*\*@r/: no") as caught:
        engine.run("x")
    assert caught.value.exit_code == 42
