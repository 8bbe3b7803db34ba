"""The example pipelines: parsed by Groovy, each on a shipped pod, and run in the real agent container."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import outer
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PIPELINES = {path.stem: path for path in sorted((ROOT / "jenkins/pipelines").glob("*.Jenkinsfile"))}
WORKSPACE = "/home/jenkins/agent/workspace/job"
PUSHED = {
    "changeset": [("team/changeset", "1")],
    "gitops": [("team/gitops", "1")],
    "instead-of-kaniko": [("team/instead-of-kaniko", "1")],
    "monorepo": [("team/api", "1")],
    "sign": [("team/signed", "1")],
    "credentials": [("team/credentials", "1")],
    "docker-workflow": [("team/greeting", "1.0"), ("team/greeting", "latest")],
    "shared-library": [("team/library", "1.0"), ("team/library", "latest")],
    "unprivileged": [("team/unprivileged", "1")],
}
ON_CLAIM = ("cache-by-team", "pvc")
UNPRIVILEGED = ("changeset", "gitops", "instead-of-kaniko", "monorepo", "shared-library", "sign", "unprivileged")
# Left to `make test-long`: what they do, the others or tests of the very tool do too.
LONG = ("compose", "gitops", "instead-of-dind", "matrix", "monorepo", "multi-arch", "parallel")
DEPLOYMENT = "/home/jenkins/agent/deployment.git"
# A checkout with one change in it, a deployment to change, and stand-ins for the two tools the agent image has not: one
# notes how it is called. What cosign and syft do with it is not shown here.
PREPARED = f"""
git config --global user.name test; git config --global user.email test@example.com
git config --global --add safe.directory '*'
git init -q; git add .; git commit -qm all; echo change >>services/api/index.html; git commit -qam change
git init -q -b main /tmp/values; printf 'image:\\n  repository: r/app\\n  digest: none\\n' >/tmp/values/values.yaml
git -C /tmp/values add .; git -C /tmp/values commit -qm values; git clone -q --bare /tmp/values {DEPLOYMENT}
cat >/usr/local/bin/cosign <<'END'
#!/bin/sh
test -e "$REGISTRY_AUTH_FILE" && echo "$* password=$COSIGN_PASSWORD token=$SIGSTORE_ID_TOKEN" >>/tmp/cosign
END
printf '#!/bin/sh\\necho "{{\\"spdxVersion\\": \\"SPDX-2.3\\"}}"\\n' >/usr/local/bin/syft
chmod 755 /usr/local/bin/cosign /usr/local/bin/syft
"""


@pytest.fixture(scope="module")
def labels() -> set[str]:
    """What the Configuration as Code file calls its pod templates."""
    casc = yaml.safe_load((ROOT / "jenkins/casc/podman-agent.yaml").read_text())
    return {template["label"] for template in casc["jenkins"]["clouds"][0]["kubernetes"]["templates"]}


@pytest.fixture(scope="module")
def described(groovy: Any, told: Any) -> dict[str, list[dict[str, Any]]]:
    """What each pipeline asks of the cluster and of sh, told without running it; one JVM for all."""
    done = groovy(*PIPELINES.values(), describe=True)
    files = [Path(file).stem for file in told("file", done)]
    parts = done.stdout.split('[json] {"file"')[1:]
    lines = [[json.loads(line[7:]) for line in part.splitlines() if line.startswith("[json] ")] for part in parts]
    return dict(zip(files, lines, strict=True))


@pytest.mark.parametrize("name", PIPELINES)
def test_pipeline_parses_and_runs_on_a_shipped_pod(name: Any, described: Any, labels: Any) -> None:
    [agent] = [line["agent"] for line in described[name] if "agent" in line]
    shipped = [list(yaml.safe_load_all(path.read_text()))[-1] for path in (ROOT / "jenkins/pods").glob("*.yaml")]
    if "inheritFrom" in agent:
        assert agent["inheritFrom"] in labels
        assert agent["yamlMergeStrategy"] == "merge"
    elif "yamlFile" in agent:
        assert (ROOT / agent["yamlFile"]).is_file()
    else:
        assert yaml.safe_load(agent["yaml"]) in shipped
    assert any("sh" in line for line in described[name])


def test_what_is_no_groovy_does_not_parse(groovy: Any, tmp_path: Path) -> None:
    broken = tmp_path / "Jenkinsfile"
    broken.write_text(PIPELINES["hostpath"].read_text().replace("stages {", "stages ["))
    done = groovy(broken, describe=True)
    assert done.returncode != 0
    assert "MultipleCompilationErrorsException" in done.stderr


def test_failing_step_fails_the_pipeline_after_its_post_steps(groovy: Any, tmp_path: Path) -> None:
    pipeline = tmp_path / "Jenkinsfile"
    pipeline.write_text(
        "pipeline { agent any\nstages { stage('x') { steps { sh 'exit 3' }\n"
        "post { always { echo 'stage post' } } } }\npost { failure { echo 'after failure' } } }"
    )
    done = groovy(pipeline, workspace=str(tmp_path))
    assert done.returncode == 1
    assert re.findall("stage post|after failure|exit code 3", done.stdout) == [
        "stage post",
        "after failure",
        "exit code 3",
    ]


@pytest.fixture(scope="module")
def pods(agent_image: str, mirror: outer.Registry, disk: Path) -> Iterator[Callable[[str], outer.Pod]]:
    """The pod of a pipeline, with a workspace that holds the application; started once for all that share it."""
    assert agent_image
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
    started: dict[str, outer.Pod] = {}

    def start(template: str, **options: Any) -> outer.Pod:
        if template not in started:
            path = ROOT / f"jenkins/pods/{template}.yaml"
            pod = outer.Pod(path, **options)
            pod.__enter__()
            started[template] = pod
            pod.sh(f"mkdir -p {WORKSPACE} {WORKSPACE}@tmp")
            outer.podman("cp", f"{ROOT}/jenkins/pipelines/app/.", f"{pod.name}-{pod.container}:{WORKSPACE}")
            pod.sh(f"cd {WORKSPACE}\n{PREPARED}")
        return started[template]

    def pod_of(name: str) -> outer.Pod:
        if name in UNPRIVILEGED:
            return start("unprivileged", env=env)
        if name in ON_CLAIM:
            return start("privileged-pvc", claim=claim, env={**env, "PODMAN_AGENT_CACHE_KEY": "team-a"})
        return start("privileged-hostpath", host_path=disk / "pipelines", env=env)

    with outer.volume(f"{outer.NAME}-jenkins-claim") as claim:
        try:
            yield pod_of
        finally:
            for pod in started.values():
                pod.__exit__()


@pytest.mark.nested
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long if n in LONG else ()) for n in PIPELINES])
def test_pipeline_runs_in_the_agent_container(name: Any, groovy: Any, pods: Any, registry: outer.Registry) -> None:
    pod = pods(name)
    done = groovy(
        PIPELINES[name],
        exec=[outer.PODMAN, "exec", "-i"],
        target=[f"{pod.name}-{pod.container}"],
        workspace=WORKSPACE,
        params={"REGISTRY": registry.address, "DEPLOYMENT": DEPLOYMENT},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for repository, tag in PUSHED.get(name, ()):
        assert registry.digest(repository, tag).startswith("sha256:")
    if name == "shared-library":
        assert f"as {registry.digest('team/library', 'latest')}" in done.stdout
    if name == "monorepo":
        assert registry.digest("team/web", "1") == ""
    if name == "gitops":
        values = pod.sh(f"git -C {DEPLOYMENT} show HEAD:values.yaml").stdout
        assert yaml.safe_load(values)["image"] == {
            "repository": "r/app", "digest": registry.digest("team/gitops", "1"),
        }  # fmt: skip
    if name == "compose-junit":
        suite = ET.fromstring(pod.sh(f"cat {WORKSPACE}/reports/integration.xml").stdout)
        assert [case.get("name") for case in suite.iter("testcase")] == ["answers", "greets"]
        assert suite.get("failures") == "0"


@pytest.mark.nested
@pytest.mark.parametrize(
    "signed",
    [
        ("key", "--key /tmp/secretFiles/cosign.key ", "password=word-of-the-key token="),
        ("keyless", "", "password= token=token-of-the-build"),
    ],
    ids=["key", "keyless"],
)
def test_the_digest_is_signed_and_attested_with_no_secret_in_an_argument(
    signed: tuple[str, str, str], groovy: Any, pods: Any, registry: outer.Registry
) -> None:
    """Cosign is a stand-in that notes its call: that a signature is valid is shown in no test of a pipeline."""
    by, arguments, secrets = signed
    pod = pods("sign")
    pod.sh("rm -f /tmp/cosign")
    done = groovy(
        PIPELINES["sign"],
        exec=[outer.PODMAN, "exec", "-i"],
        target=[f"{pod.name}-{pod.container}"],
        workspace=WORKSPACE,
        params={"REGISTRY": registry.address, "SIGNED_BY": by},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    image = f"{registry.address}/team/signed@{registry.digest('team/signed', '1')}"
    assert pod.sh("cat /tmp/cosign").stdout.splitlines() == [
        f"sign --yes {arguments}{image} {secrets}",
        f"attest --yes {arguments}--type spdxjson --predicate out/signed.spdx.json {image} {secrets}",
    ]
