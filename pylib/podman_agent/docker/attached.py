"""A terminal or none, a detached one, and the file with a container's id: what `run` and `exec` need before podman.

Source: `CheckTty`, https://github.com/docker/cli/blob/v28.5.2/cli/streams/in.go, and container/run.go, exec.go, opts.go
below cli/command there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker.options import Parsed, Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

EXEC = Spec(
    words("env env-file user workdir detach-keys cidfile preserve-fds"),
    words("detach interactive privileged tty latest"),
    letters("d=detach e=env i=interactive t=tty u=user w=workdir l=latest"),
    interspersed=False,
)
_STARTS = ("sig-proxy", "detach-keys")  # flags of `run` that `create` does not take, and `start` does


def refused(parsed: Parsed) -> bool:
    """Whether docker would not attach this to a stdin that is no terminal; says so."""
    stdin = parsed.has("interactive") or "stdin" in [value.lower() for value in parsed.all("attach")]
    if parsed.has("detach") or not parsed.has("tty") or not stdin or os.isatty(0):
        return False
    print("the input device is not a TTY", file=sys.stderr)
    return True


def execute(call: Call, _verb: str, args: list[str]) -> int:
    """``docker exec``; a detached one prints nothing."""
    parsed = parse(args, EXEC)
    if refused(parsed):
        return 1
    if not parsed.has("detach"):
        call.become("exec", *args)
    return call.run("exec", *args, quiet=True)


def keep_id(call: Call, parsed: Parsed) -> int:
    """``docker run --rm --cidfile F``: podman removes the file with the container, docker leaves it.

    Args:
        call: The docker call.
        parsed: What follows ``podman run``.

    Returns:
        The container's exit code.
    """
    file = Path(parsed.get("cidfile") or "")
    if file.exists():
        text = f"container ID file found, make sure the other container isn't running or delete {file}"
        print(f"docker: {text}", file=sys.stderr)
        return 125
    detached = parsed.has("detach")
    left_out = ("cidfile",) if detached else ("cidfile", *_STARTS)
    options = [token for option in parsed.without(*left_out) for token in option.tokens()]
    code, text = call.read("run" if detached else "create", *options, "--", *parsed.operands)
    if code:
        return code
    container = text.strip().rpartition("\n")[2]
    file.write_text(container, encoding="ascii")
    if detached:
        print(container)
        return 0
    start = [token for option in parsed.options if option.name in _STARTS for token in option.tokens()]
    interactive = ["--interactive"] if parsed.has("interactive") else []
    return call.run("start", "--attach", *interactive, *start, container)
