"""Pod templates, Jenkinsfiles and casc files as people have them, of our own writing: what `migrate` is tried on."""

# ruff: noqa: E501 - files as data

from __future__ import annotations

from typing import NamedTuple

SOCK_MOUNT = "volumeMounts:\n- {name: sock, mountPath: /var/run/docker.sock}\n"
SOCK = "volumes:\n- name: sock\n  hostPath: {path: /var/run/docker.sock}\n"
HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: build}\nspec:\n"


class Case(NamedTuple):
    """One input.

    Attributes:
        text: The file.
        found: What is met in it.
        builder: The name of the container that builds afterwards.
        undecided: A part of each line that must be asked, and no other is.
        kept: What must stand in the new file word for word.
    """

    text: str
    found: set[str]
    builder: str = "podman"
    undecided: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def pod(containers: str, rest: str = "", head: str = HEAD) -> str:
    """A pod, its containers given as YAML indented by two."""
    return head + "  containers:\n" + containers + "".join(f"  {line}\n" for line in rest.splitlines())


def container(name: str, image: str, more: str = "") -> str:
    """One container; `more` is indented by four."""
    return f"  - name: {name}\n    image: {image}\n" + "".join(f"    {line}\n" for line in more.splitlines())


CLIENT = container("docker", "docker:27-cli", "command: [cat]\ntty: true\n" + SOCK_MOUNT)
DIND = container("dind", "docker:27-dind", "securityContext: {privileged: true}\nargs: [--tls=false]")
TCP = "env:\n- {name: DOCKER_HOST, value: 'tcp://localhost:2375'}\n"
KANIKO = container(
    "kaniko", "gcr.io/kaniko-project/executor:debug",
    "command: [/busybox/cat]\ntty: true\nvolumeMounts:\n- {name: login, mountPath: /kaniko/.docker}",
)  # fmt: skip
LOGIN = "volumes:\n- name: login\n  secret:\n    secretName: regcred\n    items: [{key: .dockerconfigjson, path: config.json}]\n"
PLAIN = HEAD.replace("apiVersion: v1\nkind: Pod\nmetadata: {name: build}\n", "")

PODS: dict[str, Case] = {
    "sock": Case(pod(CLIENT, SOCK), {"docker.sock"}, "docker"),
    "sock, no kind": Case(pod(CLIENT, SOCK, PLAIN), {"docker.sock"}, "docker"),
    "sock below /run": Case(
        pod(CLIENT.replace("/var/run", "/run"), SOCK.replace("/var/run", "/run")), {"docker.sock"}, "docker"
    ),
    "sock with type": Case(
        pod(CLIENT, "volumes:\n- name: sock\n  hostPath:\n    path: /var/run/docker.sock\n    type: Socket\n"),
        {"docker.sock"}, "docker",
    ),
    "sock beside maven": Case(
        pod(CLIENT + container("maven", "maven:3-eclipse-temurin-21", "command: [cat]\ntty: true"), SOCK),
        {"docker.sock"}, "docker", kept=("image: maven:3-eclipse-temurin-21",),
    ),
    "sock in maven": Case(
        pod(container("maven", "maven:3", "command: [cat]\n" + SOCK_MOUNT), SOCK),
        {"docker.sock"}, "podman", ("container maven (maven:3) talked to a daemon",), ("image: maven:3",),
    ),
    "sock in jnlp": Case(
        pod(container("jnlp", "corp/inbound-agent-docker:5", SOCK_MOUNT), SOCK),
        {"docker.sock"}, "podman", ("container jnlp",), ("image: corp/inbound-agent-docker:5",),
    ),
    "sock and run mounted whole": Case(
        pod(CLIENT, SOCK + "- name: run\n  hostPath: {path: /var/run}\n"),
        {"docker.sock"}, "docker", ("volume run mounts /var/run of the node",),
    ),
    "two clients": Case(
        pod(CLIENT + container("compose", "docker:25", SOCK_MOUNT), SOCK),
        {"docker.sock"}, "docker", ("container compose is gone",),
    ),
    "comments and order": Case(
        pod("  # builds\n" + CLIENT + "  # tests\n" + container("node", "node:22 # pinned by ops"), SOCK),
        {"docker.sock"}, "docker", kept=("node:22 # pinned by ops",),
    ),
    "resources and env": Case(
        pod(container("docker", "docker", "resources:\n  limits: {cpu: '6'}\nenv:\n- {name: TEAM, value: a}\n" + SOCK_MOUNT), SOCK),
        {"docker.sock"}, "docker", kept=('cpu: "6"', "name: TEAM"),
    ),
    "probe and user": Case(
        pod(container("docker", "docker:cli", "securityContext: {runAsUser: 1000}\nlivenessProbe: {exec: {command: [docker, info]}}\n" + SOCK_MOUNT), SOCK),
        {"docker.sock"}, "docker", ("said runAsUser: 1000", "had a livenessProbe"),
    ),
    "no root pod": Case(
        pod(CLIENT, "securityContext:\n  runAsNonRoot: true\n  seccompProfile: {type: RuntimeDefault}\n" + SOCK),
        {"docker.sock"}, "docker", ("runAsNonRoot", "seccompProfile RuntimeDefault"),
    ),
    "dind and client": Case(pod(container("docker", "docker:27", TCP) + DIND), {"dind"}, "docker"),
    "dind alone": Case(pod(DIND), {"dind"}, "dind"),
    "dind with storage": Case(
        pod(container("docker", "docker:27", TCP) + DIND + "    volumeMounts:\n    - {name: graph, mountPath: /var/lib/docker}\n",
            "volumes:\n- {name: graph, emptyDir: {}}\n"),
        {"dind"}, "docker",
    ),
    "dind with tls": Case(
        pod(
            container("docker", "docker:27", "env:\n- {name: DOCKER_HOST, value: 'tcp://localhost:2376'}\n- {name: DOCKER_TLS_VERIFY, value: '1'}\n"
                      "volumeMounts:\n- {name: certs, mountPath: /certs/client}\n")
            + container("dind", "registry.corp:5000/mirror/docker:27-dind", "volumeMounts:\n- {name: certs, mountPath: /certs}\n"),
            "volumes:\n- {name: certs, emptyDir: {}}\n",
        ),
        {"dind"}, "docker",
    ),
    "dind as native sidecar": Case(
        pod(container("docker", "docker:cli", TCP),
            "initContainers:\n- name: dind\n  image: docker:27-dind\n  restartPolicy: Always\n  securityContext: {privileged: true}\n"),
        {"dind"}, "docker",
    ),
    "dind for gradle": Case(
        pod(container("gradle", "gradle:8", TCP) + DIND), {"dind"}, "dind", ("container gradle (gradle:8) talked",)
    ),
    "rootless dind by digest": Case(
        pod(container("docker", "docker:27", TCP) + container("d", f"docker:27-dind-rootless@sha256:{'a' * 64}")),
        {"dind"}, "docker",
    ),
    "kaniko": Case(
        pod(KANIKO, LOGIN), {"kaniko"}, "kaniko",
        ("/kaniko/executor is not there", "the login is read at /root/.docker/config.json"),
        ("secretName: regcred",),
    ),
    "kaniko with its cache": Case(
        pod(KANIKO + "    - {name: cache, mountPath: /cache}\n",
            LOGIN + "- {name: cache, persistentVolumeClaim: {claimName: kaniko-cache}}\n"),
        {"kaniko"}, "kaniko", ("/kaniko/executor", "/root/.docker/config.json", "volume cache at /cache was kaniko's"),
    ),
    "kaniko of a fork": Case(
        pod(container("builder", "ghcr.io/osscontainertools/kaniko:debug")), {"kaniko"}, "builder", ("/kaniko/executor",)
    ),
    "buildah": Case(
        pod(container("buildah", "quay.io/buildah/stable:v1.41", "securityContext: {privileged: true}")),
        {"buildah"}, "buildah",
    ),
    "podman with a store": Case(
        pod(container("podman", "quay.io/podman/stable", "volumeMounts:\n- {name: store, mountPath: /var/lib/containers}"),
            "volumes:\n- {name: store, persistentVolumeClaim: {claimName: layers}}\n"),
        {"buildah"}, "podman", ("volume store holds the store still",), ("claimName: layers",),
    ),
    "a volume named storage": Case(
        pod(CLIENT + "    - {name: storage, mountPath: /data}\n", SOCK + "- {name: storage, emptyDir: {}}\n"),
        {"docker.sock"}, "docker", kept=("name: podman-storage", "mountPath: /data"),
    ),
    "a claim before the pod": Case(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: m2}\nspec:\n  accessModes: [ReadWriteOnce]\n"
        "  resources: {requests: {storage: 1Gi}}\n---\n" + pod(CLIENT, SOCK),
        {"docker.sock"}, "docker", kept=("kind: PersistentVolumeClaim",),
    ),
    "another that is privileged": Case(
        pod(CLIENT + container("qemu", "tonistiigi/binfmt", "securityContext: {privileged: true}"), SOCK),
        {"docker.sock"}, "docker", ("container qemu is privileged still",),
    ),
}  # fmt: skip


def indented(text: str, by: int) -> str:
    """A YAML text set in."""
    return "".join(" " * by + line + "\n" for line in text.splitlines())


JENKINSFILES: dict[str, Case] = {
    "declarative": Case(
        "pipeline {\n  agent {\n    kubernetes {\n      yaml '''\n" + indented(PODS["sock"].text, 8)
        + "      '''\n    }\n  }\n  stages { stage('x') { steps { container('docker') { sh 'docker build .' } } } }\n}\n",
        {"docker.sock"}, "docker", kept=("container('docker') { sh 'docker build .' }",),
    ),
    "scripted in double quotes": Case(
        'podTemplate(yaml: """\n' + PODS["dind and client"].text + '""") {\n  node(POD_LABEL) { sh "docker ps" }\n}\n',
        {"dind"}, "docker",
    ),
    "kaniko with its steps": Case(
        "def template = '''\n" + PODS["kaniko"].text + "'''\npodTemplate(yaml: template) {\n"
        "  container('kaniko') { sh '/kaniko/executor --destination r/app' }\n}\n",
        {"kaniko"}, "kaniko", ("/kaniko/executor is not there", "/root/.docker", "line 20: kaniko's executor"),
    ),
    "a variable inside": Case(
        'podTemplate(yaml: """\n' + PODS["sock"].text.replace("27-cli", "${VERSION}") + '""") { }\n',
        set(), "", ("line 1: this pod is no plain literal",),
    ),
    "a file and the socket in a step": Case(
        "pipeline { agent { kubernetes { yamlFile 'ci/pod.yaml' } }\n"
        "stages { stage('x') { steps { sh 'docker run -v /var/run/docker.sock:/var/run/docker.sock tool' } } } }\n",
        set(), "", ("line 1: the pod is in a file", "line 2: the socket is named"),
    ),
    "templates in Groovy": Case(
        "podTemplate(containers: [containerTemplate(name: 'docker', image: 'docker:cli')],\n"
        "  volumes: [hostPathVolume(hostPath: '/var/run/docker.sock', mountPath: '/var/run/docker.sock')]) { }\n",
        set(), "", ("line 1: a template in Groovy", "line 2: a template in Groovy", "line 2: the socket"),
    ),
}  # fmt: skip

CASC_HEAD = "jenkins:\n  clouds:\n    - kubernetes:\n        name: k\n        templates:\n"
CASC: dict[str, Case] = {
    "yaml in a template": Case(
        CASC_HEAD + "          - name: d\n            label: d\n            yaml: |\n" + indented(PODS["sock"].text, 14),
        {"docker.sock"}, "docker",
    ),
    "the plugin's own keys": Case(
        CASC_HEAD + "          - name: d\n            label: d\n            containers:\n"
        "              - {name: docker, image: 'docker:cli', command: cat}\n              - {name: node, image: 'node:22'}\n"
        "            volumes:\n              - hostPathVolume: {hostPath: /var/run/docker.sock, mountPath: /var/run/docker.sock}\n",
        {"docker.sock"}, "docker", kept=("image: 'node:22'",),
    ),
    "Helm's podTemplates": Case(
        "agent:\n  podTemplates:\n    docker: |\n      - name: docker\n        label: docker\n        yaml: |\n"
        + indented(PODS["dind and client"].text, 10),
        {"dind"}, "docker",
    ),
}  # fmt: skip
