"""Records what a real ``docker buildx bake --print`` says of every case: ``record.py BUILDX``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from oracles.bake.cases import Case, cases


def lay(case: Case, directory: Path) -> list[str]:
    """Write a case's files; gives the options that name them."""
    for name, text in {**case.files, **case.beside}.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [word for name in case.files for word in ("--file", name)]


def ask(buildx: str, case: Case) -> Any:
    """The targets and groups that buildx prints, or null where it refuses."""
    with tempfile.TemporaryDirectory() as scratch:
        options = lay(case, Path(scratch))
        done = subprocess.run(
            [buildx, "bake", "--print", *options, *case.options, *case.names],
            env={"PATH": os.environ["PATH"], "HOME": "/root", "DOCKER_CONFIG": f"{scratch}/config", **case.env},
            cwd=scratch, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return json.loads(done.stdout) if done.returncode == 0 else None


def main() -> None:
    """Record."""
    [buildx] = sys.argv[1:]
    version = subprocess.run([buildx, "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    output = Path(__file__).parent / f"buildx-{version.partition('+')[0]}.json"
    recorded = {case.name: ask(buildx, case) for case in cases()}
    lines = (f"{json.dumps(name)}: {json.dumps(answer, sort_keys=True)}" for name, answer in recorded.items())
    output.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{output.name}: {len(recorded)} cases, {sum(a is None for a in recorded.values())} of them refused")


if __name__ == "__main__":
    main()
