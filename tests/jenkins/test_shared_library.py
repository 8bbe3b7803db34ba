"""The shared library's steps, run by Groovy; podman is a stand-in that notes how it is called."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

NOTE = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path

stdin = sys.stdin.read() if "--password-stdin" in sys.argv else ""
auth = os.environ.get("REGISTRY_AUTH_FILE", "")
with Path({log!r}).open("a") as log:
    print(json.dumps({{"argv": sys.argv[1:], "stdin": stdin, "auth": auth}}), file=log)
word, _, code = os.environ.get("FAIL", "none:0").partition(":")
failures = Path({log!r} + ".failures")
if word in sys.argv and len(failures.read_text() if failures.exists() else "") < int(os.environ.get("TIMES", "9")):
    with failures.open("a") as file:
        file.write("x")
    sys.exit(int(code))
if "push" in sys.argv:
    print(sys.argv[sys.argv.index("--as") + 1] + "@sha256:" + "1" * 64)
"""


@pytest.fixture
def call(groovy: Any, tmp_path: Path) -> Any:
    """Run a scripted pipeline; gives its result and the calls of podman."""
    log = tmp_path / "log"
    podman = tmp_path / "bin/podman"
    podman.parent.mkdir()
    podman.write_text(NOTE.format(log=str(log)))
    podman.chmod(0o755)
    (podman.parent / "podman-agent").symlink_to(podman)

    def run(script: str, *, sandbox: bool = False, **env: str) -> Any:
        pipeline = tmp_path / "Jenkinsfile"
        pipeline.write_text(script)
        path = f"{podman.parent}:{os.environ['PATH']}"
        done = groovy(pipeline, workspace=str(tmp_path), env={"PATH": path, **env}, sandbox=sandbox)
        return done, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return run


def argvs(calls: list[dict[str, Any]]) -> list[list[str]]:
    return [[word for word in one["argv"] if not word.startswith("/tmp/tmp.")] for one in calls]


def test_podman_build_builds_and_pushes_every_tag_and_gives_the_digest(call: Any) -> None:
    done, calls = call(
        "def r = podmanBuild(image: 'r.example/a', tags: ['1', 'latest'])\necho \"${r.image} ${r.digest}\""
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert argvs(calls) == [
        ["build", "--tag", "r.example/a:1", "--tag", "r.example/a:latest", "."],
        ["push", "--as", "r.example/a:1", "r.example/a:1"],
        ["push", "--as", "r.example/a:latest", "r.example/a:latest"],
    ]
    assert f"r.example/a:1 sha256:{'1' * 64}" in done.stdout


def test_podman_build_passes_every_setting_as_one_word_each(call: Any) -> None:
    nasty = 'it\'s \\$HOME; `id` \\"x\\"'
    done, calls = call(
        f"podmanBuild(image: 'a', context: 'dir with blank', file: 'C', target: 't', push: false,\n"
        f'  cache: "r.example/c", buildArgs: [A: "{nasty}", B: 2])'
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [one] = argvs(calls)
    assert one == [
        *("build", "--tag", "a:latest", "--file", "C", "--target", "t"),
        *("--build-arg", 'A=it\'s $HOME; `id` "x"', "--build-arg", "B=2"),
        *("--layers", "--cache-from", "r.example/c", "--cache-to", "r.example/c", "dir with blank"),
    ]


def test_podman_build_of_several_platforms_pushes_the_list(call: Any) -> None:
    done, calls = call("podmanBuild(image: 'r.example/a', tags: ['1', '2'], platforms: ['linux/amd64', 'linux/arm64'])")
    assert done.returncode == 0, done.stdout + done.stderr
    assert argvs(calls) == [
        ["build", "--platform", "linux/amd64,linux/arm64", "--manifest", "r.example/a:1", "."],
        ["push", "--manifest", "--as", "r.example/a:1", "r.example/a:1"],
        ["push", "--manifest", "--as", "r.example/a:2", "r.example/a:1"],
    ]


@pytest.mark.parametrize(
    ("image", "registry"),
    [("r.example/a", "r.example"), ("localhost:5000/a", "localhost:5000"), ("team/a", "docker.io"), ("a", "docker.io")],
)
def test_podman_build_logs_in_through_a_pipe_to_a_file_that_is_gone_afterwards(
    call: Any, image: str, registry: str
) -> None:
    done, calls = call(f"podmanBuild(image: '{image}', credentialsId: 'registry')")
    assert done.returncode == 0, done.stdout + done.stderr
    assert calls[0]["argv"] == ["login", "-u", "user", "--password-stdin", registry]
    assert calls[0]["stdin"] == "secret-word"
    assert {one["auth"] for one in calls} == {calls[0]["auth"]}
    assert not Path(calls[0]["auth"]).exists()
    assert "secret-word" not in str([one["argv"] for one in calls])
    assert "secret-word" not in done.stdout


def test_podman_build_forgets_the_login_when_the_build_fails(call: Any) -> None:
    done, calls = call("podmanBuild(image: 'r.example/a', credentialsId: 'registry')", FAIL="build:1")
    assert done.returncode == 1
    assert [one["argv"][0] for one in calls] == ["login", "build"]
    assert not Path(calls[0]["auth"]).exists()


BUILD = "podmanBuild(image: 'r.example/a')"
RETRY = f"retry(count: 3, conditions: [agent(), nonresumable()]) {{ {BUILD} }}\necho 'went on'"


@pytest.mark.parametrize(
    ("fail", "times", "verbs", "code"),
    [
        ("push:75", "1", ["build", "push", "build", "push"], 0),
        ("push:69", "2", ["build", "push"] * 3, 0),
        ("push:75", "9", ["build", "push"] * 3, 1),
        ("push:76", "9", ["build", "push"], 1),
        ("build:1", "9", ["build"], 1),
        ("build:125", "9", ["build"], 1),
    ],
)
def test_only_what_another_attempt_can_cure_is_an_agents_error(
    call: Any, fail: str, times: str, verbs: list[str], code: int
) -> None:
    done, calls = call(RETRY, FAIL=fail, TIMES=times)
    assert done.returncode == code, done.stdout + done.stderr
    assert [one["argv"][0] for one in calls] == verbs
    assert ("went on" in done.stdout) == (code == 0)
    assert ("infrastructure, not the build" in done.stdout) == (fail in {"push:69", "push:75"})


@pytest.mark.parametrize(("fail", "result"), [("push:75", "ABORTED"), ("build:1", "FAILURE")])
def test_catch_error_tells_infrastructure_from_a_broken_build(call: Any, fail: str, result: str) -> None:
    done, _ = call(f"catchError {{ {BUILD} }}", FAIL=fail)
    assert f"Setting overall build result to {result}" in done.stdout


def test_a_library_in_the_sandbox_says_the_same_as_a_plain_error(call: Any) -> None:
    done, calls = call(RETRY, sandbox=True, FAIL="push:75")
    assert done.returncode == 1
    assert [one["argv"][0] for one in calls] == ["build", "push"]
    assert "FAILURE: podmanBuild: Push r.example/a:latest: infrastructure, not the build (exit code 75)" in done.stdout


@pytest.mark.parametrize("settings", ["tags: ['1']", "image: 'a', tag: '1'"])
def test_podman_build_refuses_what_it_does_not_know(call: Any, settings: str) -> None:
    done, calls = call(f"podmanBuild({settings})")
    assert (done.returncode, calls) == (1, [])
    assert "podmanBuild: " in done.stdout


def agent(told: Any, done: Any) -> dict[str, Any]:
    asked: dict[str, Any]
    [asked] = told("agent", done)
    return asked


def test_with_podman_agent_inherits_a_template_and_runs_the_body_in_its_container(call: Any, told: Any) -> None:
    done, _ = call("withPodmanAgent { echo 'body' }")
    asked = agent(told, done)
    assert asked["inheritFrom"] == "podman-agent-unprivileged"
    assert yaml.safe_load(asked["yaml"]) == {"spec": {"containers": [{"name": "podman", "args": ["cat"]}]}}
    assert "body" in done.stdout


def test_with_podman_agent_overlays_what_was_asked_for(call: Any, told: Any) -> None:
    done, _ = call(
        "withPodmanAgent(trust: 'privileged-pvc', image: 'r.example:5000/agent@sha256:ab', key: 'team-a',\n"
        "  cpu: 2, memory: '4Gi', memoryLimit: '8Gi') { }"
    )
    [container] = yaml.safe_load(agent(told, done)["yaml"])["spec"]["containers"]
    assert container == {
        "name": "podman",
        "args": ["cat"],
        "image": "r.example:5000/agent@sha256:ab",
        "env": [{"name": "PODMAN_AGENT_CACHE_KEY", "value": "team-a"}],
        "volumeMounts": [
            {"name": "storage", "mountPath": "/var/lib/containers", "subPath": "privileged/team-a"},
        ],
        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
    }


@pytest.mark.parametrize("trust", ["unprivileged", "userns", "privileged-ephemeral"])
def test_with_podman_agent_divides_no_volume_that_is_the_pods_alone(call: Any, told: Any, trust: str) -> None:
    done, _ = call(f"withPodmanAgent(trust: '{trust}', key: 'team-a') {{ }}")
    [container] = yaml.safe_load(agent(told, done)["yaml"])["spec"]["containers"]
    assert "volumeMounts" not in container


@pytest.mark.parametrize("key", ["../team-b", "a/b", "a:b", "a@b"])
def test_with_podman_agent_takes_a_plain_key_only(call: Any, key: str) -> None:
    """It becomes a path."""
    done, _ = call(f"withPodmanAgent(trust: 'privileged-pvc', key: '{key}') {{ echo 'body' }}")
    assert done.returncode == 1
    assert "body" not in done.stdout


@pytest.mark.parametrize("settings", ["key: 'a\\n  hostNetwork: true'", "image: 'a: b'", "truts: 'userns'"])
def test_with_podman_agent_refuses_what_would_be_more_than_a_value(call: Any, settings: str) -> None:
    done, _ = call(f"withPodmanAgent({settings}) {{ echo 'body' }}")
    assert done.returncode == 1
    assert "body" not in done.stdout


@pytest.mark.parametrize(
    ("held", "after"),
    [
        ("def held = ('a1' =~ /a(.)/)", "NotSerializableException: java.util.regex.Matcher"),
        (
            "def held = [a: 1].entrySet().iterator()",
            "NotSerializableException: java.util.LinkedHashMap$LinkedEntryIterator",
        ),
        ("def held = [1] as LinkedList", "none"),
    ],
)
def test_the_runner_writes_local_variables_down_between_steps_as_jenkins_does(call: Any, held: str, after: str) -> None:
    """The net under the tests above: it catches what Jenkins' own transformation was seen to refuse."""
    done, _ = call(f"{held}\necho 'a step'\necho \"none ${{held.getClass()}}\"")
    assert after in done.stdout + done.stderr


def test_the_runner_casts_null_as_jenkins_does(call: Any) -> None:
    done, _ = call('def several = [:].platforms as boolean\necho "several is ${several}"')
    assert "several is null" in done.stdout
