"""What unit tests share: a podman that only writes down its arguments."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.engine.engine import Engine

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
