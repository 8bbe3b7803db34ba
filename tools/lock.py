"""Renew requirements.lock, what the image installs: ``make lock``.

For every Python from 3.11 on and every platform at once, by uv; what it was made from is its first line, so that a
test tells without a network when it is older than pyproject.toml.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"


def wanted() -> list[str]:
    """What pyproject.toml says that the image's Python must have: requirements of the package and of its build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    otel = project["project"]["optional-dependencies"]["otel"]
    return [*project["project"]["dependencies"], *otel, *project["build-system"]["requires"]]


def header() -> str:
    """The first line of a lock that is made from `wanted`."""
    digest = hashlib.sha256(json.dumps(sorted(wanted())).encode()).hexdigest()
    return f"# make lock; of the requirements in pyproject.toml with sha256 {digest}"


def main() -> int:
    """Write the lock."""
    # no --output-file: uv keeps the versions of one that is there
    command = ["uv", "pip", "compile", "--universal", "--generate-hashes", "--python-version", "3.11", "--quiet"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("uv")), *command[1:], "--no-header", "--no-annotate", "-"],
        input="\n".join(wanted()), stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return done.returncode
    LOCK.write_text(f"{header()}\n{done.stdout}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
