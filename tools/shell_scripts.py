"""Print the shell scripts git tracks here, by their first line, for shellcheck."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """One path a line."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not name or path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            first = file.readline(80)
        if re.match(rb"#!.*\b(ba|da)?sh\b", first) or name.endswith(".sh"):
            print(path)


if __name__ == "__main__":
    main()
