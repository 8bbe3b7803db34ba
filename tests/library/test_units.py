"""Pure parts: events, Git tags, result files, progress, options of the commands."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
from podman_agent.bake import Source, parse
from podman_agent.builds import reports, sbom
from podman_agent.builds.git import GitInfo
from podman_agent.builds.run import ImageBuild, Outcome, Settings
from podman_agent.cli import main
from podman_agent.engine import events
from podman_agent.engine.engine import Engine
from podman_agent.engine.events import Event
from podman_agent.engine.progress import Progress
from podman_agent.engine.results import BuildResult, Layer, PushResult
from podman_agent.errors import DataError, UsageError, VolumeError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("STEP 2/3: RUN x", {"kind": "step", "step": 2, "steps": 3}),
        ("[1/2] STEP 1/4: FROM x", {"kind": "step", "step": 1, "steps": 4}),
        ("[linux/arm64] [1/2] STEP 1/4: FROM x", {"kind": "step", "step": 1, "steps": 4}),
        ("Copying blob 56b8b3b8b674 skipped: already exists  ",
         {"kind": "layer", "layer": "56b8b3b8b674", "state": "skipped"}),
        ("\x1b[3A\x1b[JCopying blob c0606caabed8 done   | \r",
         {"kind": "layer", "layer": "c0606caabed8", "state": "done"}),
        ("Copying blob c0606caabed8 [====>---] 18.0MiB / 47.5MiB | 1.2 GiB/s",
         {"kind": "layer", "state": "copying", "current": 18 * 2**20, "total": 49807360}),
        ("Copying config a624a88ca3 done   | ", {"kind": "layer", "layer": "a624a88ca3", "state": "done"}),
        ("Copying blob sha256:c0606caabed8aaf28f58b47b26187b2fd74fa3374210ad49bd4ab220e4979631",
         {"kind": "layer", "layer": "c0606caabed8", "state": "copying", "total": 0}),
        ("hello", {"kind": "log", "text": "hello"}),
    ],
)  # fmt: skip
def test_podmans_lines_become_events(line, expected):
    event = events.parse(line, "x")
    assert {k: getattr(event, k) for k in expected} == expected


def git(branch="feature/Ä x", tags=()):
    return GitInfo("0123456789abcdef0123", branch, tuple(tags), "https://example.com/x.git", 0)


@pytest.mark.parametrize(
    ("info", "schemes", "tags"),
    [
        (git(), ["commit", "branch"], ["0123456789ab", "feature---x"]),
        (git(branch=""), ["branch"], []),
        (git(tags=["v1.2.3", "other"]), ["semver"], ["1.2.3", "1.2", "1"]),
        (git(tags=["0.4.0"]), ["semver"], ["0.4.0", "0.4"]),
        (git(tags=["v2.0.0-rc.1", "v2.0.0+build.5"]), ["semver"], ["2.0.0-rc.1", "2.0.0", "2.0", "2"]),
        (git(tags=["v1.2"]), ["semver"], []),
    ],
)
def test_tags_from_git(info, schemes, tags):
    assert info.image_tags(schemes) == tags
    with pytest.raises(UsageError, match="unknown tag scheme"):
        info.image_tags(["date"])


def test_git_is_read_and_jenkins_branch_counts_where_head_is_detached(tmp_path):
    run = ["git", "-C", tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    assert GitInfo.read(tmp_path, {}) is None
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*run, "remote", "add", "origin", "https://u:secret@example.com/x.git"], check=True)
    assert GitInfo.read(tmp_path, {}).branch == "main"
    subprocess.run([*run, "checkout", "-q", "--detach"], check=True)
    found = GitInfo.read(tmp_path, {"GIT_BRANCH": "origin/dev"})
    assert (found.branch, found.source) == ("dev", "https://example.com/x.git")
    assert GitInfo.read(tmp_path, {"BRANCH_NAME": "pr-1", "GIT_BRANCH": "x"}).branch == "pr-1"


BUILT = BuildResult("sha256:1", ("r/x:1",), 1.5, 1)
PUSHED = PushResult("r.example:5000/x:1", "sha256:2", "sha256:1", (Layer("sha256:3", 7),), (), 0.5, 2)
OUTCOMES = [
    Outcome("good-one", "ok", 2, BUILT, (PUSHED,)),
    Outcome("bad", "failed", 1, error="build \x01 failed", exit_code=1),
    Outcome("late", "skipped", 0, error="it needs bad"),
    Outcome("unpushed", "failed", 1, BUILT, error="push denied", exit_code=125),
]


def test_result_files_are_what_jenkins_reads():
    rows = json.loads(reports.image_json(OUTCOMES))
    assert rows[0]["images"] == ["r.example:5000/x:1@sha256:2"]
    assert rows[0]["pushes"][0]["bytes"] == 7
    suite = ET.fromstring(reports.junit(OUTCOMES))
    assert {k: suite.get(k) for k in ("tests", "failures", "skipped")} == {
        "tests": "6", "failures": "2", "skipped": "1",
    }  # fmt: skip
    lines = reports.env_file(OUTCOMES[:1]).splitlines()
    assert lines == ["IMAGE_ID=sha256:1", "IMAGE_DIGEST=sha256:2", "IMAGE=r.example:5000/x@sha256:2"]
    assert "IMAGE_GOOD_ONE=r.example:5000/x@sha256:2" in reports.env_file(OUTCOMES).splitlines()


def test_a_result_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    reports.write(tmp_path / "deep/x", "new")
    assert (tmp_path / "deep/x").read_text() == "new"
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["x"]
    with pytest.raises(VolumeError, match="cannot write /proc/nowhere/x"):
        reports.write(type(tmp_path)("/proc/nowhere/x"), "x")


def test_in_a_log_each_step_and_layer_is_one_line():
    out = io.StringIO()
    with Progress(out) as progress:
        progress(Event("step", "app", "STEP 1/2: FROM [bold]x[/bold]"))
        for state in ("copying", "done", "done"):
            progress(Event("layer", "app", "", state=state, layer="abc", current=1, total=2))
    assert out.getvalue() == "[app] STEP 1/2: FROM [bold]x[/bold]\n[app] layer abc copied\n"


def test_bars_and_quiet():
    out = io.StringIO()
    with Progress(out, "bars") as progress:
        progress(Event("layer", "app", "", state="copying", layer="abc", current=1, total=2))
        progress(Event("layer", "app", "", state="skipped", layer="abc"))
    assert "layer abc already there" in out.getvalue()
    quiet = io.StringIO()
    with Progress(quiet, "quiet") as progress:
        progress(Event("log", "app", "x"))
    assert quiet.getvalue() == ""


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["build", "a", "b"], 64, "more than one context"),
        (["build", "--image", "r.example/x", "."], 64, "has no tags"),
        (["build", "--build-arg", "NO_SUCH_VARIABLE_X", "."], 64, "no such variable"),
        (["build", "--bake", "nowhere.hcl"], 65, "cannot read nowhere.hcl"),
        (["build", "--bake", "x.hcl", "-t", "y"], 64, "is for one image"),
        (["push"], 64, "required"),
        (["push", "r.example/UP"], 64, "not a valid image name"),
        (["login", "r.example", "-u", "x"], 64, "required"),
        (["login", "r.example", "-u", "x", "--password-env", "NO_SUCH_VARIABLE_X"], 78, "is not set"),
        (["login", "r.example", "-u", "x", "--password-file", "/nowhere"], 78, "cannot read"),
    ],
)
def test_senseless_arguments_are_one_line_and_an_exit_code(argv, code, message, capsys):
    assert main(argv) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


FAKE = """#!{python}
import sys, os
with open("{log}", "a") as f:
    print(*sys.argv[1:], sep="\\x1f", file=f)
if "--version" in sys.argv:
    print("podman version {version}")
    sys.exit()
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A podman that writes its argv down and fails or succeeds as told."""

    def make(script: str) -> Engine:
        program = tmp_path / "bin/podman"
        program.parent.mkdir(exist_ok=True)
        version, _, rest = script.partition(" ")
        program.write_text(FAKE.format(python=sys.executable, log=tmp_path / "argv", version=version) + rest)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return Engine()

    return make


@pytest.mark.parametrize(("version", "flag"), [("5.4.2", True), ("4.9.3", False)])
def test_podmans_own_retry_is_off_where_it_can_be(fake, tmp_path, version, flag):
    engine = fake(f"{version} print('sha256:1' if sys.argv[1] == 'pull' else '[{{\"Digest\": \"d\"}}]')")
    engine.pull("r.example/x:1")
    pull = next(line for line in (tmp_path / "argv").read_text().splitlines() if line.startswith("pull"))
    assert ("--retry=0" in pull) is flag


def test_a_failure_keeps_podmans_exit_code_and_its_last_error_without_secrets(fake):
    said = "Error: first\\nError: GET https://u:hunter2@r/: no"
    engine = fake(f"5.4.2 print('{said}', file=sys.stderr); sys.exit(42)")
    with pytest.raises(Exception, match=r"run x: GET https://\*\*\*\*@r/: no") as caught:
        engine.run("x")
    assert caught.value.exit_code == 42


def test_targets_are_built_after_those_they_need_and_caches_are_podmans():
    calls = []

    class Recorder:
        redact = staticmethod(str)

        def build(self, options):
            calls.append(options)
            return BuildResult(f"sha256:{len(calls)}", options.tags, 0, 1)

    text = (
        """
    target "a" { contexts = { b = "target:b" } tags = ["r.example/a:1"]
      cache-from = ["type=registry,ref=r.example/cache:tag", "type=gha"]  dockerfile-inline = "FROM b" }
    target "b" { context = "dir"  labels = { x = "own" } }
    """.replace("} tags", "}\n tags")
        .replace('"]  docker', '"]\n docker')
        .replace('"dir"  labels', '"dir"\n labels')
    )
    bake = parse([Source("x.hcl", text)], {})
    said = []
    settings = Settings(cache="r.example/all", labels={"x": "1", "y": "2"}, tags=("v",), jobs=4)
    outcomes = ImageBuild(Recorder(), settings, said.append).run(bake.order(["a"]), ["a"])
    assert [o.status for o in outcomes] == ["ok", "ok"]
    first, second = calls
    assert (first.context, dict(first.labels)) == ("dir", {"x": "own", "y": "2"})
    assert second.contexts == {"b": "container-image://sha256:1"}
    assert second.tags == ("r.example/a:1", "r.example/a:v")
    assert second.cache_from == ("r.example/all", "r.example/cache")
    assert any("gha is buildkit's own: ignored" in e.text for e in said)


def test_an_sbom_needs_a_scanner_and_a_fake_one_is_run(fake, tmp_path, monkeypatch):
    engine = fake("5.4.2 pass")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Exception, match="neither syft nor trivy is on PATH") as caught:
        sbom.write(engine, "x", tmp_path / "x.json")
    assert caught.value.exit_code == 77
    scanner = tmp_path / "bin/syft"
    scanner.write_text('#!/bin/sh\necho \'{"spdxVersion": "SPDX-2.3"}\'\n')
    scanner.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    sbom.write(engine, "x", tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"spdxVersion": "SPDX-2.3"}


def test_a_bake_file_without_the_target_names_those_there_are():
    with pytest.raises(DataError, match="failed to find target x; there are: a"):
        parse([Source("x.hcl", 'target "a" {}')], {}).order(["x"])
