"""Writes a software bill of materials with a scanner that is installed: syft or trivy."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.builds import reports
from podman_agent.engine import process
from podman_agent.errors import EngineError, PodRefusalError

if TYPE_CHECKING:
    from podman_agent.engine.engine import Engine


def write(engine: Engine, image: str, file: Path) -> None:
    """Scan a local image and write SPDX JSON.

    Args:
        engine: Has the image.
        image: Name or id.
        file: Written whole or not at all.

    Raises:
        PodRefusalError: If neither scanner is on PATH.
        EngineError: If the scan fails.
    """
    scanner = next((s for s in ("syft", "trivy") if shutil.which(s)), None)
    if scanner is None:
        what = f"no SBOM for {image}"
        raise PodRefusalError(what, "neither syft nor trivy is on PATH", "add one to the agent image")
    with tempfile.TemporaryDirectory(prefix="podman-agent-") as scratch:
        archive = Path(scratch, "image.tar")
        engine.call(["save", "--format=oci-archive", f"--output={archive}", image], f"save {image}")
        argv = {
            "syft": ["syft", "scan", f"oci-archive:{archive}", "--output=spdx-json", "--quiet"],
            "trivy": ["trivy", "image", f"--input={archive}", "--format=spdx-json", "--quiet"],
        }[scanner]
        done = process.run(argv, timeout=engine.policy.attempt_timeout)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        what = f"{scanner} failed on {image}"
        raise EngineError(what, engine.redact(last), returncode=done.returncode)
    reports.write(file, done.stdout + "\n")
