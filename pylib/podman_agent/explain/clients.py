"""Image names, logins, and what docker's command line has and podman's has not."""

from __future__ import annotations

from podman_agent.explain.explanation import BUILDAH, PODMAN, Explanation

HEADING = "Commands and names"
RULES = (
    Explanation(
        "Error: short-name resolution enforced but cannot prompt without a TTY",
        r"short-name .* did not resolve to an alias|short-name resolution enforced but cannot prompt",
        "the image name has no registry, and registries.conf names none or several",
        "write the whole name (docker.io/library/…), or use the docker or podman on PATH",
        PODMAN + "11530",
    ),
    Explanation(
        "credentials key has https[s]:// prefix",
        r"credentials key has https?\[?s?\]?:// prefix",
        "a key of config.json begins with a scheme",
        "write registry names without https:// in the credentials",
        PODMAN + "13691",
    ),
    Explanation(
        "Error: tag [::1]:33847/a/b:1: invalid reference format",
        r"\[[0-9a-f:]+\]\S*: invalid reference format",
        "podman's image names hold no IPv6 address, docker's do",
        "write a host name, such as localhost for ::1",
        "https://github.com/containers/image/blob/v5.34.3/docker/reference/regexp.go",
    ),
    Explanation(
        "HEALTHCHECK is not supported for OCI image format and will be ignored. Must use `docker` format",
        r"(HEALTHCHECK|SHELL|ONBUILD) is not supported for OCI image format",
        "the image is built in the OCI format, which has no such instruction",
        "PODMAN_AGENT_BUILD_FORMAT=docker, or --format docker",
        BUILDAH + "2388",
    ),
    Explanation(
        "Error: cannot set --network other than host with --isolation chroot",
        r"cannot set --network other than host with --isolation chroot",
        "build steps only chroot here and share the pod's network",
        "drop --network, or securityContext.privileged: true",
        "https://docs.podman.io/en/latest/markdown/podman-build.1.html#isolation-type",
    ),
    Explanation(
        "Error: unknown flag: --cgroup-manager",
        r"Error: unknown flag: --(cgroup-manager|events-backend|runtime|storage-driver)\b",
        "podman speaks to a service elsewhere, where local flags are errors",
        "unset CONTAINER_HOST and CONTAINER_CONNECTION, or drop the flag",
        "https://github.com/containers/podman/blob/v5.4.2/cmd/podman/root.go",
    ),
    Explanation(
        "Error: unknown flag: --push",
        r"unrecognized command `?podman buildx (create|imagetools|bake|use|ls|rm|stop|du|history)\b"
        r"|Error: unknown flag: --(push|provenance|attest|builder|metadata-file|call|check|no-cache-filter|driver)\b"
        r"|invalid repo \"?type=\w+|invalid type \"(image|registry|docker|oci)\" selected for build output"
        r"|unrecognized key \"\w[\w.-]*\" in build output",
        "docker buildx has this and podman has not",
        "call it as docker, which the agent translates",
        PODMAN + "20975",
    ),
    Explanation(
        "Error: looking up compose provider failed",
        r"looking up compose provider failed",
        "podman compose only calls docker-compose or podman-compose, and none is installed",
        "install docker-compose in the image (docs/reference/docker.md), or set PODMAN_COMPOSE_PROVIDER",
        "https://docs.podman.io/en/latest/markdown/podman-compose.1.html",
    ),
)
