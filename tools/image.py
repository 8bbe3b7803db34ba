"""Build the agent image: ``python3 tools/image.py``, which is what ``make image`` runs.

The base is the Containerfile's own BASE_IMAGE. Where its registry cannot be reached this says so
in one line and builds a Debian 13 base from packages with mmdebstrap, kept in .cache/ until
``--refresh-base``. A base named with ``--base`` has no such stand-in. What the machine lacks is
installed, saying what (`host`). Standard library only.

Environment handed to the build: APT_MIRROR, DNF_MIRROR and PIP_INDEX_URL as build arguments; this
machine's CA bundle as the build secret ``ca``; the proxies by podman itself
(https://docs.podman.io/en/latest/markdown/podman-build.1.html#http-proxy).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import host
import outer

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
TAG = "localhost/jenkins-podman-agent:latest"
STAND_IN = "localhost/jenkins-podman-agent-base:debian-13"
STAND_IN_LABEL = "jenkins-podman-agent.base-key"
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
# the versions that decide what works, in the image's label
CHIEF = re.compile(r"podman|buildah|skopeo|crun|runc|netavark|passt|fuse-overlayfs|git|openjdk-.*-jre-headless|java-.*")
MIRRORS = ("APT_MIRROR", "DNF_MIRROR", "PIP_INDEX_URL")


class ImageError(Exception):
    """Why there is no image; one line."""


def say(text: str) -> None:
    """Print one line for the reader on stderr."""
    print(f"image: {text}", file=sys.stderr, flush=True)


def default_base() -> str:
    """The Containerfile's BASE_IMAGE."""
    found = re.search(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    if found is None:
        what = "the Containerfile has no ARG BASE_IMAGE=..."
        raise ImageError(what)
    return found[1]


def registry_of(reference: str) -> str:
    """The host that serves an image reference, by docker's rule for its first component.

    Args:
        reference: As in ``FROM``.
    """
    sys.path.insert(0, str(ROOT / "pylib"))
    from podman_agent.plan.reference import Reference  # noqa: PLC0415  (this runs before anything is installed)

    registry = Reference.parse(reference).registry
    return "registry-1.docker.io" if registry == "docker.io" else registry


def unreachable(registry: str, seconds: float = 5) -> str | None:
    """Why the registry cannot be reached, or None when it answers as a registry does.

    Args:
        registry: Host, with a port if need be.
        seconds: How long to wait for it.
    """
    try:
        with urllib.request.urlopen(f"https://{registry}/v2/", timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        # 401 is how a registry asks for a login; anything else is a proxy that refuses.
        return None if error.code == 401 else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


class Builder:
    """One container engine on this machine.

    Args:
        engine: The command and its first arguments.
        env: Its environment; ours when None.
    """

    def __init__(self, engine: list[str], env: dict[str, str] | None = None) -> None:
        self.engine, self.env = engine, env

    def output(self, *args: str) -> str | None:
        """What the engine prints on stdout, or None when it fails."""
        done = subprocess.run(
            [*self.engine, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            env=self.env,
        )
        return done.stdout.strip() if done.returncode == 0 else None

    def run(self, *args: str) -> None:
        """Run the engine with its output shown.

        Raises:
            ImageError: It failed.
        """
        done = subprocess.run([*self.engine, *args], stdin=subprocess.DEVNULL, check=False, env=self.env)
        if done.returncode:
            what = f"`{shlex.join([*self.engine, args[0]])}` failed ({done.returncode}), see above"
            raise ImageError(what)

    def has(self, reference: str) -> bool:
        """Whether the image is in the local store."""
        return self.output("image", "inspect", "--format", "{{.Id}}", reference) is not None

    def choose_base(self, asked: str | None, *, refresh: bool) -> str:
        """The base to build on; builds the stand-in when it is needed.

        Args:
            asked: What ``--base`` says, if anything.
            refresh: Build the stand-in again though there is one.
        """
        base = asked or default_base()
        if self.has(base):
            return base
        registry = registry_of(base)
        why = unreachable(registry)
        if why is None:
            return base
        if asked:
            what = f"{base} is not in the local store and {registry} cannot be reached ({why})"
            raise ImageError(what)
        say(f"{registry} cannot be reached ({why}): building on {STAND_IN}, Debian 13 from packages, instead of {base}")
        self.stand_in(refresh=refresh)
        return STAND_IN

    def stand_in(self, *, refresh: bool) -> None:
        """Have the Debian 13 base in the local store."""
        command = ["mmdebstrap", "--variant=minbase", "trixie"]
        mirror = [os.environ["APT_MIRROR"]] if os.environ.get("APT_MIRROR") else []
        key = hashlib.sha256("\0".join(command).encode()).hexdigest()[:12]
        tar = CACHE / f"base-debian-13-{key}.tar"
        label = self.output("image", "inspect", "--format", f'{{{{index .Labels "{STAND_IN_LABEL}"}}}}', STAND_IN)
        if label == key and not refresh:
            return
        if refresh or not tar.exists():
            host.ensure("mmdebstrap", "debian-archive-keyring")
            CACHE.mkdir(exist_ok=True)
            aside = tar.with_name(f".{os.getpid()}.{tar.name}")
            say(f"{shlex.join(command)} -> {tar.relative_to(ROOT)}")
            try:
                done = subprocess.run([*command, str(aside), *mirror], stdin=subprocess.DEVNULL, check=False)
                if done.returncode:
                    what = f"mmdebstrap failed ({done.returncode}), see above"
                    raise ImageError(what)
                aside.rename(tar)
            finally:
                aside.unlink(missing_ok=True)
        changes = ('CMD ["/bin/bash"]', f"LABEL {STAND_IN_LABEL}={key}")
        options = [option for change in changes for option in ("--change", change)]
        self.run("import", "--quiet", *options, str(tar), STAND_IN)

    def build(self, base: str, tag: str, pip_conf: Path | None, *, slim: bool = False) -> None:
        """Build the image on a base that is there or can be pulled.

        Args:
            base: Reference of the base.
            tag: Name of the result.
            pip_conf: pip.conf for the build alone, e.g. with an index that wants a password.
            slim: Without Java.
        """
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        arguments = {"BASE_IMAGE": base, "VERSION": project["version"], "REVISION": revision()}
        if slim:
            arguments["JAVA"] = "no"
        arguments |= {name: os.environ[name] for name in MIRRORS if os.environ.get(name)}
        for name in MIRRORS:
            if re.search(r"://[^/]*@", arguments.get(name, "")):
                what = (
                    f"{name} holds a login, which would stay in the image's history; "
                    "use --pip-conf, or a mirror without one"
                )
                raise ImageError(what)
        options = [option for item in arguments.items() for option in ("--build-arg", "=".join(item))]
        if ca := ca_bundle():
            options += ["--secret", f"id=ca,src={ca}"]
        if pip_conf:
            options += ["--secret", f"id=pip,src={pip_conf}"]
        # The host's network, because a proxy on its loopback is one too.
        self.run(
            *("build", "--layers", "--format", "docker", "--network", "host"),
            *(*options, "--tag", tag, str(ROOT)),
        )

    def describe(self, tag: str) -> None:
        """Take its lists of packages out into build/, label it with the chief versions, print the largest.

        Args:
            tag: The image; its name moves on to the one with the label.

        Raises:
            ImageError: The image does not say what is in it.
        """
        (ROOT / "build").mkdir(exist_ok=True)
        for name in ("packages.json", "sbom.cdx.json"):
            cat = ("run", "--rm", "--network", "none", "--entrypoint", "cat", tag, f"/usr/share/podman-agent/{name}")
            text = self.output(*cat)
            if text is None:
                what = f"{tag} does not say what is in it (`podman {shlex.join(cat)}` failed)"
                raise ImageError(what)
            (ROOT / "build" / name).write_text(text + "\n")
        packages = json.loads((ROOT / "build/packages.json").read_text())["distribution"]
        chief = " ".join(f"{p['name']}={p['version']}" for p in packages if CHIEF.fullmatch(p["name"]))
        with tempfile.TemporaryDirectory() as empty:
            (Path(empty) / "Containerfile").write_text(f'FROM {tag}\nLABEL podman-agent.packages="{chief}"\n')
            self.run("build", "--quiet", "--layers", "--format", "docker", "--pull=never", "--tag", tag, empty)
        for package in sorted(packages, key=lambda p: -int(p["size"]))[:10]:
            say(f"{package['size'] / 1e6:6.1f} MB  {package['name']} {package['version']}")


def ca_bundle() -> Path | None:
    """This machine's CA bundle: the one its variables name, else the system's."""
    named = [os.environ[name] for name in CA_VARIABLES if os.environ.get(name)]
    return next((Path(path) for path in [*named, *CA_BUNDLES] if Path(path).is_file()), None)


def revision() -> str:
    """The commit built from, with ``-dirty`` when the tree has changes; ``unknown`` outside git."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Build the image as the command line says."""
    parser = argparse.ArgumentParser(description="Build the agent image.")
    parser.add_argument("--podman", type=shlex.split, metavar="CMD", help="container engine (default: ours)")
    parser.add_argument("--base", metavar="IMAGE", help="base image (default: the Containerfile's)")
    parser.add_argument("--tag", metavar="IMAGE", help=f"name of the result (default: {TAG}, or :slim)")
    parser.add_argument("--slim", action="store_true", help="without Java, for a sidecar")
    parser.add_argument("--refresh-base", action="store_true", help="build the Debian stand-in base again")
    parser.add_argument("--pip-conf", type=Path, metavar="FILE", help="pip.conf for the build, kept in no layer")
    args = parser.parse_args()
    tag = args.tag or (TAG.replace(":latest", ":slim") if args.slim else TAG)
    start = time.monotonic()
    try:
        host.ensure("podman")
        # by default the store and the plan of the demo and the tests
        builder = Builder(args.podman) if args.podman else Builder([outer.PODMAN], outer.ENVIRONMENT)
        base = builder.choose_base(args.base, refresh=args.refresh_base)
        builder.build(base, tag, args.pip_conf, slim=args.slim)
        builder.describe(tag)
        size = builder.output("image", "inspect", "--format", "{{.Size}}", tag)
    except (ImageError, host.HostError) as error:
        say(str(error))
        return 1
    say(f"{tag} in {time.monotonic() - start:.0f} s, {int(size or 0) / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
