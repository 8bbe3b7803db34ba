"""A fake podman on PATH that says what it was given, and the real shim in front of it, as dumb-init's tests do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FAKE = r"""#!/usr/bin/python3
import json, os, signal, sys, time
if sys.argv[1:] == ["--version"]:
    with open(os.environ["FAKE_CALLS"], "a") as calls:
        calls.write("version\n")
    print("podman version 5.4.2")
    raise SystemExit(0)
with open(os.environ["FAKE_OUT"], "wb") as out:
    out.write(json.dumps({
        "argv": [os.fsencode(a).hex() for a in [os.environ.get("FAKE_ARGV0", sys.argv[0]), *sys.argv[1:]]],
        # not os.environ: this very interpreter may have added LC_CTYPE to it
        "env": dict(v.split("=", 1) for v in open("/proc/self/environ").read().split("\0") if v),
        "pid": os.getpid(),
    }).encode())
if "FAKE_ECHO" in os.environ:
    sys.stdout.buffer.write(sys.stdin.buffer.read())
if "FAKE_TTY" in os.environ:
    print(os.isatty(0), os.isatty(1))
if "FAKE_SH" in os.environ:
    os.execv("/bin/sh", ["sh", "-c", os.environ["FAKE_SH"]])
if "FAKE_SLEEP" in os.environ:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(43))
    print("ready", flush=True)
    time.sleep(30)
raise SystemExit(int(os.environ.get("FAKE_RC", "0")))
"""


@dataclass
class Shim:
    """The shims of this tree with a fake podman behind them and a state directory of their own."""

    directory: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of a call: nothing of the caller's but PATH."""
        return {
            "PATH": f"{ROOT / 'entrypoint'}:{self.directory / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin",
            "PODMAN_AGENT_STATE_DIR": str(self.directory / "state"),
            "PODMAN_AGENT_GRAPHROOT": str(self.directory / "storage"),
            "FAKE_OUT": str(self.directory / "out"),
            "FAKE_CALLS": str(self.directory / "calls"),
        }

    def call(
        self,
        *args: str | bytes,
        name: str = "podman",
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        **more: str,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a shim to its end."""
        (self.directory / "out").unlink(missing_ok=True)
        return subprocess.run(
            [str(ROOT / "entrypoint" / name), *args],
            env={**self.env, **(env or {}), **more},
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )

    @property
    def seen(self) -> dict[str, object]:
        """What the fake podman was given last."""
        loaded: dict[str, object] = json.loads((self.directory / "out").read_bytes())
        return loaded

    @property
    def argv(self) -> list[bytes]:
        """Its arguments, without argv[0]."""
        argv = self.seen["argv"]
        assert isinstance(argv, list)
        return [bytes.fromhex(a) for a in argv[1:]]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment."""
        environment = self.seen["env"]
        assert isinstance(environment, dict)
        return environment

    @property
    def hot(self) -> Path:
        """The file the hot path reads."""
        return self.directory / "state/hot"


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    """A shim whose plan is not made yet."""
    fake = tmp_path / "bin/podman"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    for name in ("crun", "runc"):
        (fake.parent / name).write_text("#!/bin/sh\n")
        (fake.parent / name).chmod(0o755)
    assert os.geteuid() == 0, "the tests of the shim run as root, as the agent does"
    return Shim(tmp_path)
