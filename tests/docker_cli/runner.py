"""Runs the cases of corpus.toml in a pod: `runner.py CASES.json CONTEXT < nothing > results.json`.

Standard library only: it runs in the agent's own container. The environment has REGISTRY, PRIVATE and PASSWORD; which
`docker` is first on PATH is the caller's affair.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 60  # seconds for one line


def shell(script: str, directory: Path, env: dict[str, str], out: Path, err: Path) -> int:
    with out.open("wb") as stdout, err.open("wb") as stderr:
        try:
            return subprocess.run(
                ["/bin/sh", "-ec", script], cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=stdout,
                stderr=stderr, timeout=LIMIT, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124


def podman(*args: str) -> str:
    return subprocess.run(
        ["podman", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    ).stdout.decode()


def tidy(home: Path, line: str) -> None:
    """Remove what a line left behind, so that lines do not depend on each other."""
    if podman("ps", "-aq"):
        podman("rm", "-fa", "-t", "0")
    if any(word in line for word in ("volume", "network", "compose", "-v ")):
        podman("network", "prune", "-f")
        podman("volume", "prune", "-f")
    if "rm" in line and not podman("images", "-q", "busybox"):
        podman("load", "-q", "-i", os.environ["BASE"])
    shutil.rmtree(home / ".docker", ignore_errors=True)
    Path("/run/containers/0/auth.json").unlink(missing_ok=True)


def right(code: int, wanted: int | str) -> bool:
    return code != 0 if wanted == "nonzero" else code == wanted


def run(case: dict[str, str], number: int, context: Path, scratch: Path) -> dict[str, object]:
    directory = scratch / f"case{number}"
    shutil.copytree(context, directory)
    out, err = scratch / f"out{number}", scratch / f"err{number}"
    env = {**os.environ, "OUT": str(out), "ERR": str(err), "CI_COMMIT_SHA": "0a1b2c3d", "HOME": str(scratch)}
    start = time.monotonic()
    code = shell(case["line"], directory, env, out, err)
    seconds = time.monotonic() - start
    ok = right(code, case.get("code", 0))
    said = f"exit code {code}"
    if ok and "check" in case:
        ok = shell(case["check"], directory, env, scratch / "check.out", scratch / "check.err") == 0
        said += ", effect missing" if not ok else ""
    tidy(scratch, case["line"])
    text = "" if ok else (out.read_text(errors="replace")[-1200:] + err.read_text(errors="replace")[-1200:])
    return {"ok": ok, "said": said, "output": text, "seconds": round(seconds, 2)}


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    scratch = Path(sys.argv[2]).with_name("work")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    tidy(scratch, "volume rm")
    results = [run(case, number, Path(sys.argv[2]), scratch) for number, case in enumerate(cases)]
    json.dump(results, sys.stdout)


main()
