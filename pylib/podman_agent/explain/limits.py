"""What a container asks for and this pod has not, and what ended a step or the pod from outside."""

from __future__ import annotations

from podman_agent.explain.explanation import Explanation

HEADING = "Rights, devices and limits"
KILLED = Explanation(
    "container exited on killed",
    r"^(?:container|subprocess) exited on killed$"
    r"|^Error: (?:building at STEP \".*\": )?(?:while running runtime: )?exit status 137$",
    "a program of the step was killed, as the kernel does when the pod's memory limit is reached",
    "a higher resources.limits.memory, or fewer jobs at a time; kubectl describe pod shows OOMKilled",
    "https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/",
)
RULES = (
    KILLED,
    Explanation(
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi.",
        r"The node was low on resource: |The node had condition: \["
        r"|Container \S+ exceeded its local ephemeral storage limit "
        r"|Pod ephemeral local storage usage exceeds the total limit of containers "
        r"|Usage of EmptyDir volume \"[^\"]*\" exceeds the limit ",
        "the kubelet evicted this pod: it, or its node, ran out of disk or memory",
        "requests and limits of memory and ephemeral-storage that fit the job, a larger sizeLimit of the emptyDir, or a"
        " PVC at /var/lib/containers",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",
    ),
    Explanation(
        'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
        r"sudo: The \"no new privileges\" flag is set",
        "allowPrivilegeEscalation: false lets no program of this pod gain rights",
        "allowPrivilegeEscalation: true, or do without sudo: in a Dockerfile RUN is root already",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    Explanation(
        "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
        r"unresolvable CDI devices ",
        "a device is asked for (--gpus, --device), of which this pod has no CDI specification",
        "drop it; or give the pod the GPU (resources.limits: nvidia.com/gpu) and a specification in /etc/cdi",
        "https://docs.podman.io/en/latest/markdown/podman-run.1.html#gpus-entry",
    ),
    Explanation(
        "Error: crun: cannot setns `/proc/494/ns/net`: Operation not permitted: OCI permission denied",
        r"cannot setns `?/proc/\d+/ns/\w+`?: Operation not permitted",
        "to join another container's namespace takes CAP_SYS_ADMIN over it, which this pod has not",
        "drop --network container:ID (containers share the pod's network here, localhost reaches them), or"
        " securityContext.privileged: true",
        "https://man7.org/linux/man-pages/man2/setns.2.html",
    ),
    Explanation(
        "ping: permission denied (are you root?)",
        r"^ping: (?:permission denied \(are you root\?\)|socktype: SOCK_RAW|socket: Operation not permitted)",
        "the container has no CAP_NET_RAW",
        "--cap-add=NET_RAW, where the pod itself has it (capabilities.add: [NET_RAW])",
        "https://man7.org/linux/man-pages/man7/capabilities.7.html",
    ),
    Explanation(
        'copier: put: error setting ownership of "/x" to 1000:1000: lchown /x: invalid argument',
        r"error setting ownership of \"[^\"]*\" to \d+:\d+: l?chown \S+: invalid argument",
        "only one user id is mapped here, and the file is to belong to another one",
        "drop --chown; or ranges in /etc/subuid and /etc/subgid, with allowPrivilegeEscalation: true",
        "https://github.com/containers/podman/issues/13360",
    ),
)
