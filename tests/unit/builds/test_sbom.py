"""Bills of materials by a scanner on PATH."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.builds import sbom
from podman_agent.engine.engine import Engine
from podman_agent.errors import PodmanAgentError

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


def test_an_sbom_needs_a_scanner_and_a_fake_one_is_run(
    fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fake("5.4.2 pass")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(PodmanAgentError, match="neither syft nor trivy is on PATH") as caught:
        sbom.write(engine, "x", tmp_path / "x.json")
    assert caught.value.exit_code == 77
    scanner = tmp_path / "bin/syft"
    scanner.write_text('#!/bin/sh\necho \'{"spdxVersion": "SPDX-2.3"}\'\n')
    scanner.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    sbom.write(engine, "x", tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"spdxVersion": "SPDX-2.3"}
