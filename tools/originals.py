"""The originals that ours is judged by, from Debian's archive: unpacked apart, never installed, never committed.

``python3 tools/originals.py SUITE PACKAGE …`` prints the directory they were unpacked into. Standard library only.
`tree` unpacks what they depend on too: a root that programs of a newer suite run in.
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


def _apt(suite: str) -> tuple[Path, dict[str, str]]:
    """A home for apt that has this suite only, its lists fresh, and the environment that makes apt use it."""
    home = outer.CACHE / "originals" / suite
    (home / "lists/partial").mkdir(parents=True, exist_ok=True)
    (home / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text(f"deb [trusted=yes] {archive()} {suite} main\n")
    (home / "status").write_text("")
    (home / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{home}/sources.list";\nDir::Etc::sourceparts "-";\nDir::State::lists "{home}/lists";\n'
        f'Dir::Cache "{home}/cache";\nAcquire::Check-Valid-Until "false";\nAPT::Sandbox::User "root";\n'
    )
    env = {**os.environ, "APT_CONFIG": str(home / "apt.conf")}
    _get(env, home, "--quiet=2", "update")
    return home, env


def _get(env: dict[str, str], home: Path, *args: str) -> None:
    done = subprocess.run(["apt-get", *args], env=env, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        what = f"`apt-get {' '.join(args)}` in {home} failed: {done.stderr.strip()[-300:]}"
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
    home, env = _apt(suite)
    _get(env, home, "--quiet=2", "download", *packages)
    for package in packages:
        for file in home.glob(f"{package}_*.deb"):
            outer.run("dpkg", "-x", str(file), str(home / "root"))
            file.unlink()
    return home / "root"


def tree(suite: str, name: str, *packages: str) -> Path:
    """Packages of a suite with all they depend on, unpacked into one root; none of their scripts is run.

    Args:
        suite: Such as `sid`.
        name: The root's name below the cache; one that is there is given as it is.
        packages: Their names.

    Returns:
        The root.

    Raises:
        OuterError: apt could not get them.
    """
    root = outer.CACHE / "originals" / suite / name
    if root.is_dir():
        return root
    home, env = _apt(suite)
    alone = ("-o", f"Dir::State::status={home}/status", "-o", "APT::Install-Recommends=0")
    _get(env, home, "--quiet=2", "--yes", "--download-only", *alone, "install", *packages)
    aside = root.with_name(f".{os.getpid()}.{name}")
    for directory in ("bin", "sbin", "lib", "lib64"):
        (aside / "usr" / directory).mkdir(parents=True, exist_ok=True)
        (aside / directory).symlink_to(f"usr/{directory}")
    archives = home / "cache/archives"
    for file in archives.glob("*.deb"):
        # through the links of a merged /usr, as dpkg does
        pipe = 'dpkg-deb --fsys-tarfile "$0" | tar -x --keep-directory-symlink -C "$1"'
        outer.run("sh", "-ec", pipe, str(file), str(aside))
        file.unlink()
    aside.rename(root)
    return root


if __name__ == "__main__":
    print(unpacked(*sys.argv[1:]))
