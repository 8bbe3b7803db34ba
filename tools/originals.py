"""The originals that ours is judged by, from Debian's archive: unpacked apart, never installed, never committed.

``python3 tools/originals.py SUITE PACKAGE …`` prints the directory they were unpacked into. Standard library only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import outer

SOURCES = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))


def archive() -> str:
    """The archive that this machine's own apt uses.

    Raises:
        OuterError: It has none.
    """
    for file in SOURCES:
        if file.is_file() and (
            found := re.search(r"^(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(\S+)", file.read_text(), re.MULTILINE)
        ):
            return found[1]
    what = "apt has no archive here"
    raise outer.OuterError(what)


def unpacked(suite: str, *packages: str) -> Path:
    """Packages of a suite, without what they depend on.

    Args:
        suite: Such as `sid`; its Release may be past its date.
        packages: Their names.

    Returns:
        A directory below the cache that holds their files.

    Raises:
        OuterError: apt could not get them.
    """
    home = outer.CACHE / "originals" / suite
    root = home / "root"
    (home / "lists/partial").mkdir(parents=True, exist_ok=True)
    (home / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text(f"deb [trusted=yes] {archive()} {suite} main\n")
    (home / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{home}/sources.list";\nDir::Etc::sourceparts "-";\nDir::State::lists "{home}/lists";\n'
        f'Dir::Cache "{home}/cache";\nAcquire::Check-Valid-Until "false";\nAPT::Sandbox::User "root";\n'
    )
    env = {**os.environ, "APT_CONFIG": str(home / "apt.conf")}
    for command in (["apt-get", "--quiet=2", "update"], ["apt-get", "--quiet=2", "download", *packages]):
        done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            what = f"`{' '.join(command)}` of {suite} failed: {done.stderr.strip()[-300:]}"
            raise outer.OuterError(what)
    for package in packages:
        for file in home.glob(f"{package}_*.deb"):
            outer.run("dpkg", "-x", str(file), str(root))
            file.unlink()
    return root


if __name__ == "__main__":
    print(unpacked(*sys.argv[1:]))
