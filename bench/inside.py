"""Runs and times commands where they are measured, in a pod or beside a daemon: JSON lines in, JSON lines out.

A question is ``{"together": [argv, …], "env": {…}, "stdin": text, "cwd": path}``: all of them are started at once, and
the time is that until the last has ended. Standard library only, and nothing of ours: the peers' pods run it too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time


def answer(question: dict[str, object]) -> dict[str, object]:
    """Run what is asked; the answer has the seconds, the worst exit code and all that was printed."""
    commands = question["together"]
    assert isinstance(commands, list)
    env = {**os.environ, **dict(question.get("env") or {})}  # type: ignore[call-overload]
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
        stdin.write(str(question.get("stdin") or "").encode())
        started = time.perf_counter()
        children = []
        for argv in commands:
            stdin.seek(0)
            # each needs an offset of its own in what it reads
            own = os.open(f"/proc/self/fd/{stdin.fileno()}", os.O_RDONLY)
            children.append(
                subprocess.Popen(argv, env=env, cwd=question.get("cwd"), stdin=own, stdout=output, stderr=output)  # type: ignore[call-overload]
            )
            os.close(own)
        codes = [child.wait() for child in children]
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read().decode(errors="replace")
    return {"seconds": seconds, "code": max(codes, key=abs), "output": text[-20000:]}


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except OSError as error:
            said = {"seconds": 0.0, "code": 127, "output": str(error)}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
