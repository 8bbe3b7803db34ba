"""What docs/how-to/verify.md says of a key of one's own, by Debian's cosign at a registry of the test's."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import originals
import outer
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Cosign = Callable[..., subprocess.CompletedProcess[str]]

PAGE = outer.ROOT / "docs/how-to/verify.md"
REGISTRY = ("--allow-http-registry", "--allow-insecure-registry")


@pytest.fixture(scope="module")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    """Debian 13's, in a directory with a key pair."""
    program = originals.unpacked("trixie", "cosign") / "usr/bin/cosign"
    directory = tmp_path_factory.mktemp("cosign")
    env = {"PATH": os.defpath, "HOME": str(directory), "COSIGN_PASSWORD": "secret-word"}

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *args], cwd=directory, env=env, capture_output=True, text=True, check=False, timeout=120
        )

    made = call("generate-key-pair")
    assert made.returncode == 0, made.stderr
    return call


def test_what_is_signed_verifies_and_what_is_not_does_not(cosign: Cosign, mirror: outer.Registry) -> None:
    mirror.put("team/agent", "1", {"os": "linux", "architecture": "amd64"}, b"layer")
    mirror.put("team/agent", "2", {"os": "linux", "architecture": "arm64"}, b"layer")
    signed, other = (f"{mirror.address}/team/agent@{mirror.digest('team/agent', tag)}" for tag in "12")
    done = cosign("sign", "--yes", "--key", "cosign.key", "--tlog-upload=false", *REGISTRY, signed)
    assert done.returncode == 0, done.stderr
    verify = ("verify", "--key", "cosign.pub", "--insecure-ignore-tlog", *REGISTRY)
    assert cosign(*verify, signed).returncode == 0
    failed = cosign(*verify, other)
    assert failed.returncode != 0
    assert "no signatures found" in failed.stderr


def test_an_sbom_is_attested_with_the_same_key(cosign: Cosign, mirror: outer.Registry, tmp_path: Path) -> None:
    mirror.put("team/attested", "1", {"os": "linux", "architecture": "amd64"}, b"layer")
    name = f"{mirror.address}/team/attested@{mirror.digest('team/attested', '1')}"
    sbom = tmp_path / "sbom.cdx.json"
    sbom.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}')
    key = ("--key", "cosign.key", "--tlog-upload=false", *REGISTRY)
    done = cosign("attest", "--yes", *key, "--type", "cyclonedx", "--predicate", str(sbom), name)
    assert done.returncode == 0, done.stderr
    verify = ("--key", "cosign.pub", "--insecure-ignore-tlog", *REGISTRY, "--type")
    assert cosign("verify-attestation", *verify, "cyclonedx", name).returncode == 0
    assert cosign("verify-attestation", *verify, "spdxjson", name).returncode != 0


def test_the_policies_of_the_page_are_yaml_of_the_kinds_they_name() -> None:
    blocks = [part.split("```")[0] for part in PAGE.read_text().split("```yaml\n")[1:]]
    assert [yaml.safe_load(block)["kind"] for block in blocks] == ["ClusterImagePolicy", "ClusterPolicy"]
