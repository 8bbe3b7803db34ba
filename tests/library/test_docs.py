"""The documentation's examples run as they stand, and the API reference builds."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from typing import TYPE_CHECKING, Any

import outer
import pytest

if TYPE_CHECKING:
    from pathlib import Path

DOCS = outer.ROOT / "docs/reference/library.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.nested
def test_the_examples_run_as_they_stand(agent: Any, registry: outer.Registry) -> None:
    (agent.work / "docs").mkdir()
    (agent.work / "docs/Containerfile").write_text("FROM busybox\nRUN echo docs > /x\n")
    env = {"REGISTRY": registry.address, "USER": registry.user, "PASSWORD": registry.password}
    env["REGISTRY_AUTH_FILE"] = "/tmp/docs-auth.json"
    for example in blocks("sh"):
        done = agent.sh(f"cd docs\n{example}", env=env)
        assert f"{registry.address}/team/app:1@sha256:" in done.stdout
    assert registry.digest("team/app", "1") == registry.digest("team/app", "stable")
    program = f"import os\nos.chdir('docs')\nREGISTRY = {registry.address!r}\n" + "\n".join(blocks("python"))
    printed = agent.python(program, env=env).stdout
    assert registry.digest("team/app", "2") in printed
    assert "['1', '2', 'stable']" in printed or "'stable'" in printed


def test_every_option_in_the_documentation_exists() -> None:
    helps = ""
    for command in ("build", "push", "pull", "login", "wait-registry", "copy"):
        argv = [sys.executable, "-m", "podman_agent.cli", command, "--help"]
        helps += subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOCS.read_text()))
    assert sorted(o for o in named if o not in helps) == []


def test_the_site_builds_and_every_link_in_it_leads_somewhere(tmp_path: Path) -> None:
    """With the whole API in it, and every file of the repository that a page links to."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=outer.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "files/jenkins/pods/restricted.yaml").read_bytes()
    page = (tmp_path / "reference/api/index.html").read_text()
    for method in ("build", "push", "pull", "copy", "login", "logout", "run", "inspect", "images", "prune", "manifest"):
        assert f'id="podman_agent.engine.Engine.{method}"' in page


@pytest.mark.nested
def test_pip_installs_the_package_alone_on_a_machine_without_the_image(tmp_path: Path, mirror: outer.Registry) -> None:
    """A real install with all dependencies into a fresh environment, and no podman on PATH."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "pylib"):
        subprocess.run(["cp", "-r", outer.ROOT / name, tree], check=True)
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv/bin"
    pip = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(tree)]
    subprocess.run(pip, check=True, timeout=300)
    env = {"PATH": "/nowhere", "HOME": str(tmp_path)}

    def agent(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(binaries / "podman-agent"), *arguments]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert agent("--version").stdout.startswith("podman-agent ")
    assert "ready" in agent("wait-registry", "--insecure", mirror.address).stdout
    program = f"""
import podman_agent.engine, podman_agent.bake, podman_agent.builds.run
from podman_agent.registry.access import Access
from podman_agent.registry.client import Registry
registry = Registry({mirror.address!r}, Access(insecure=True))
print(registry.wait(timeout=20) < 20)
try:
    registry.tags("library/busybox")
except Exception as error:
    print(error)
"""
    done = subprocess.run([binaries / "python", "-c", program], env=env, capture_output=True, text=True, check=True)
    ready, lacking = done.stdout.splitlines()
    assert ready == "True"
    assert "skopeo" in lacking
    missing = agent("push", "example.com/x:1")
    assert (missing.returncode, missing.stderr.count("\n")) == (127, 1)
    assert "cannot run podman" in missing.stderr
