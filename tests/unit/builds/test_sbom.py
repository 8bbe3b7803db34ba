"""Bills of materials by a scanner on PATH."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.builds import sbom
from podman_agent.errors import PodmanAgentError

if TYPE_CHECKING:
    from pathlib import Path


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
