"""How podman is called, with one that only writes down its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path


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
