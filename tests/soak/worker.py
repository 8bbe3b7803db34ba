"""What runs inside the pods of the soak tests: real podman work on a cache volume (stdlib only).

    worker.py claim|plain|agent check-then-load     until killed
    worker.py claim|plain|agent mixed ROUNDS [FIRST]   then exits 0 when nothing failed
    worker.py claim|plain|agent shell SCRIPT        with its exit code

``claim`` claims a store by this tree's code, ``plain`` is the seed's way: everybody on one graphroot. With
``agent`` the image's own shim claims at the first call, in whatever kind of pod this is.
Each line on stdout is one event: ``STARTED`` (nothing is claimed yet), ``CHECKED``,
``FAILED <what>: <podman's last line>``, ``ROUND <seconds>``,
``DONE <n>``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from pathlib import Path

VOLUME = Path("/var/lib/containers")
REGISTRY = os.environ["SOAK_REGISTRY"]
BASE = f"{REGISTRY}/soak/base:1"
OTHER = f"{REGISTRY}/soak/other:1"


def say(*words: object) -> None:
    print(*words, flush=True)


def setup(mode: str) -> None:
    """Tell the agent's plan which graphroot this pod has: claimed as the agent does, or the seed's."""
    if mode == "agent":
        os.environ["PODMAN_AGENT_INSECURE_REGISTRIES"] = REGISTRY
        return
    graphroot = VOLUME / "storage"
    if mode == "claim":
        from podman_agent.store import claim  # noqa: PLC0415 - the plain way must not need it

        started = time.perf_counter()
        ours = claim(VOLUME, key=os.environ.get("PODMAN_AGENT_CACHE_KEY"), env=os.environ, legacy=graphroot)
        graphroot = ours.graphroot
        say(f"CLAIMED {1000 * (time.perf_counter() - started):.0f} ms", ours.note, "|", ours.message)
    os.environ |= {"PODMAN_AGENT_GRAPHROOT": str(graphroot), "PODMAN_AGENT_INSECURE_REGISTRIES": REGISTRY}


def podman(*argv: str, stdin: str = "") -> tuple[int, str]:
    done = subprocess.run(["podman", *argv], input=stdin, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


def must(*argv: str, stdin: str = "") -> str:
    code, text = podman(*argv, stdin=stdin)
    if code:
        last = text.strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"podman {argv[0]}: {last[0]}")
    return text


def expect(text: str, *words: str) -> None:
    if text.split() != list(words):
        raise RuntimeError(f"wrong image: {text!r}")


def check() -> None:
    """Build on the base image, run the result, and compare every file the base came with."""
    nonce = uuid.uuid4().hex
    name = f"localhost/soak-check:{nonce}"
    must(
        "build",
        "--pull=missing",
        "-q",
        "-t",
        name,
        "-",
        stdin=f"FROM {BASE}\nRUN echo {nonce} > /nonce && cd / && sha256sum -c -s /sums\n",
    )
    text = must("run", "--rm", name, "sh", "-c", "cat /nonce; cd / && sha256sum -c -s /sums && echo ok")
    expect(text, nonce, "ok")
    must("rmi", "-f", name)


def random_operation(pick: random.Random) -> None:
    """One of build, pull, push, commit, remove."""
    kind = pick.choice(["build", "build", "pull", "push", "commit", "rmi", "prune"])
    tag = f"{REGISTRY}/soak/work:{pick.randrange(4)}"
    if kind == "build":
        must(
            "build",
            "-q",
            "-t",
            tag,
            "-",
            stdin=(
                f"FROM {BASE}\nRUN echo {uuid.uuid4()} > /a; for i in 1 2 3 4 5 6 7 8; do"
                f" dd if=/dev/urandom of=/f$i bs=64k count=8 2>/dev/null; done\n"
                f"RUN rm -rf /data/d1; echo {pick.randrange(3)} > /b\n"
            ),
        )
    elif kind == "pull":
        podman("rmi", "-f", OTHER)
        must("pull", "-q", OTHER)
    elif kind == "push":
        podman("tag", BASE, tag)
        must("push", "-q", tag)
    elif kind == "commit":
        name = f"c{uuid.uuid4().hex[:8]}"
        must("run", "--name", name, BASE, "sh", "-c", "date > /now")
        must("commit", "-q", name, tag)
        must("rm", "-f", name)
    elif kind == "rmi":
        podman("rmi", "-f", tag)
    else:
        must("image", "prune", "-f")


def check_then_load() -> None:
    try:
        check()
        say("CHECKED")
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        say("FAILED", error)
    pick = random.Random()
    while True:
        try:
            random_operation(pick)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            say("FAILED", "load:", error)


def mixed(rounds: int, first: int = 0) -> int:
    """Pull, build, run and prune; every build on the base, some from cache."""
    failed = 0
    pick = random.Random()
    for number in range(first, first + rounds):
        started = time.monotonic()
        try:
            if number % 8 == 3:
                podman("rmi", "-f", OTHER)
                must("pull", "-q", OTHER)
            nonce = uuid.uuid4().hex
            name = f"localhost/soak-mixed:{nonce}"
            must(
                "build",
                "--pull=missing",
                "-q",
                "-t",
                name,
                "-",
                stdin=(f"FROM {BASE}\nRUN echo {pick.randrange(5)} > /cached\nRUN echo {nonce} > /nonce\n"),
            )
            text = must("run", "--rm", name, "cat", "/nonce")
            expect(text, nonce)
            must("rmi", "-f", name)
            if number % 8 == 7:
                must("system", "prune", "-f")
            say("ROUND", round(time.monotonic() - started, 3))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed += 1
            say("FAILED", error)
    say("DONE", rounds)
    return failed


def main() -> int:
    mode, what, *rest = sys.argv[1:]
    if what == "check-then-load":
        say("STARTED")
    setup(mode)
    if what == "shell":
        return subprocess.run(["sh", "-ec", *rest], check=False).returncode
    if what == "mixed":
        return min(mixed(*map(int, rest)), 100)
    check_then_load()
    return 0


if __name__ == "__main__":
    sys.exit(main())
