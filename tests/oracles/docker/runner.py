"""Run the lines of `lines.txt` one after another: `runner.py LINES BASE.tar RESULTS.json`; $REG is a registry.

Standard library only: it runs beside the original and in our pod alike. `# NAME` begins a group from a clean engine,
`+ SHELL` prepares and is not compared, every other line is compared; `@ LINE % @ a @ b` stands for one line for each
ending, in place of its %.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

LIMIT = 40  # seconds
CLEAN = """
c=$(docker ps -aq); [ -z "$c" ] || docker rm -f $c
docker network prune -f; docker volume prune -af
i=$(docker images -aq); [ -z "$i" ] || docker rmi -f $i
docker load -i "$BASE"
rm -rf "$HOME/.docker"
"""


def expanded(text: str) -> list[tuple[str, str]]:
    """(group, line) of each line; a line `FORMATS @ a @ b` was written once for each of its endings."""
    group = ""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("# "):
            group = line[2:]
            found.append((group, ""))
        elif line.startswith("@ "):
            head, *ends = line[2:].split(" @ ")
            found += [(group, head.replace("%", end, 1)) for end in ends]
        elif line.strip():
            found.append((group, line))
    return found


def shell(script: str, work: Path, env: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one line; 124 when it took too long."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, "", ""
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def main() -> None:
    """Write the results, a dictionary for each compared line."""
    lines, base, results = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    work = Path("/tmp/lines")
    env = {**os.environ, "BASE": base, "HOME": "/tmp/lines-home", "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    found = []
    for group, line in expanded(lines.read_text()):
        if not line:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            Path(env["HOME"]).mkdir(exist_ok=True)
            shell(CLEAN, work, env)
        elif line.startswith("+ "):
            shell(line[2:], work, env)
        else:
            code, out, err = shell(line, work, env)
            found.append({"group": group, "line": line, "code": code, "stdout": out[:20000], "stderr": err[:4000]})
    results.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
