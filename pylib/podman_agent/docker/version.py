"""``docker -v``, ``docker version`` and ``docker info`` with the fields scripts ask for.

Fields: https://docs.docker.com/reference/cli/docker/version/ and .../system/info/.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from podman_agent.docker.gotemplate import TemplateError, render
from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

# The docker release whose command line this package follows. docker-workflow compares it with
# 17.12 before it uses `exec --workdir`, others with 19.03 (BuildKit) and 23 (buildx).
DOCKER = "27.5.1"
# https://docs.docker.com/reference/api/engine/#api-version-matrix: podman's compat API is 1.41.
API = "1.41"
MINIMUM_API = "1.24"
_SPEC = Spec(words("format"), words(""), letters("f=format"))


def _podman(call: Call) -> str:
    return call.read("--version")[1].split()[-1]


def run(call: Call, verb: str, args: list[str]) -> int:
    """Print versions or the engine's state.

    Args:
        call: The docker call.
        verb: ``-v``, ``version`` or ``info``.
        args: What follows it.

    Returns:
        0; 1 for a bad template; podman's code when podman fails.
    """
    if verb in {"-v", "--version"}:
        print(f"Docker version {DOCKER}, build podman-{_podman(call)}")
        return 0
    template = parse(args, _SPEC).get("format")
    data = version(call) if verb == "version" else info(call)
    if data is None:
        return 1
    if template is None:
        sys.stdout.write(_version_text(data) if verb == "version" else _info_text(data))
        return 0
    try:
        print(render(template, data))
    except TemplateError as error:
        print(f"docker: template parsing error: {error}", file=sys.stderr)
        return 1
    return 0


def version(call: Call) -> dict[str, Any] | None:
    """``docker version`` as docker's structure."""
    code, text = call.read("version", "--format=json")
    if code:
        return None
    found = json.loads(text)
    client, server = found["Client"], found.get("Server") or found["Client"]
    system, _, architecture = client["OsArch"].partition("/")
    common = {
        "GoVersion": client["GoVersion"],
        "Os": system,
        "Arch": architecture,
        "GitCommit": client.get("GitCommit") or f"podman-{client['Version']}",
        "BuildTime": client.get("BuiltTime", ""),
    }
    engine = {
        "Name": "Podman Engine",
        "Version": DOCKER,
        "Details": {
            "ApiVersion": API,
            "MinAPIVersion": MINIMUM_API,
            "Os": system,
            "Arch": architecture,
            "PodmanVersion": server["Version"],
        },
    }
    return {
        "Client": common
        | {
            "Version": DOCKER,
            "ApiVersion": API,
            "APIVersion": API,
            "DefaultAPIVersion": API,
            "Context": "default",
            "Platform": {"Name": f"Podman {client['Version']}"},
        },
        "Server": common
        | {
            "Version": DOCKER,
            "ApiVersion": API,
            "APIVersion": API,
            "MinAPIVersion": MINIMUM_API,
            "KernelVersion": _kernel(),
            "Experimental": False,
            "Components": [engine],
            "Platform": {"Name": f"Podman Engine {server['Version']}"},
        },
    }


def _kernel() -> str:
    import os  # noqa: PLC0415

    return os.uname().release


def info(call: Call) -> dict[str, Any] | None:
    """``docker info`` as docker's structure."""
    code, text = call.read("info", "--format=json")
    if code:
        return None
    found = json.loads(text)
    node, store = found["host"], found["store"]
    security = node.get("security", {})
    options = [
        f"name={name}"
        for name, on in (
            ("apparmor", security.get("apparmorEnabled")),
            ("selinux", security.get("selinuxEnabled")),
            ("seccomp,profile=default", security.get("seccompEnabled")),
            ("rootless", security.get("rootless")),
        )
        if on
    ]
    containers = store["containerStore"]
    distribution = node.get("distribution", {})
    plugins = found.get("plugins", {})
    return {
        "ID": node["hostname"],
        "Name": node["hostname"],
        "ServerVersion": DOCKER,
        "PodmanVersion": found["version"]["Version"],
        "Driver": store["graphDriverName"],
        "DockerRootDir": store["graphRoot"],
        "DriverStatus": [[k, str(v)] for k, v in store.get("graphStatus", {}).items()],
        "Containers": containers["number"],
        "ContainersRunning": containers["running"],
        "ContainersPaused": containers["paused"],
        "ContainersStopped": containers["stopped"],
        "Images": store["imageStore"]["number"],
        "NCPU": node["cpus"],
        "MemTotal": node["memTotal"],
        "Architecture": _machine(),
        "OSType": node["os"],
        "OperatingSystem": " ".join(filter(None, map(distribution.get, ("distribution", "version")))),
        "OSVersion": distribution.get("version", ""),
        "KernelVersion": node["kernel"],
        "CgroupDriver": node["cgroupManager"],
        "CgroupVersion": node["cgroupVersion"].lstrip("v"),
        "LoggingDriver": node["logDriver"],
        "SecurityOptions": options,
        "DefaultRuntime": node["ociRuntime"]["name"],
        "Runtimes": {node["ociRuntime"]["name"]: {"path": node["ociRuntime"]["path"]}},
        "Plugins": {
            "Volume": plugins.get("volume"),
            "Network": plugins.get("network"),
            "Log": plugins.get("log"),
            "Authorization": plugins.get("authorization"),
        },
        "Swarm": {"LocalNodeState": "inactive", "NodeID": "", "ControlAvailable": False},
        "RegistryConfig": {
            "IndexConfigs": {"docker.io": {"Name": "docker.io", "Official": True, "Secure": True, "Mirrors": []}},
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "Mirrors": [],
        },
        "IndexServerAddress": "https://index.docker.io/v1/",
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": False,
        "Debug": False,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Labels": [],
        "Warnings": [],
        "InitBinary": "catatonit",
        "MemoryLimit": True,
        "SwapLimit": True,
        "IPv4Forwarding": True,
        "ClientInfo": {"Version": DOCKER, "Context": "default", "Debug": False, "Plugins": []},
    }


def _machine() -> str:
    import os  # noqa: PLC0415

    return os.uname().machine


def _version_text(data: dict[str, Any]) -> str:
    client, server = data["Client"], data["Server"]
    where = f"{client['Os']}/{client['Arch']}"
    return (
        f"Client: {client['Platform']['Name']}\n Version:           {client['Version']}\n"
        f" API version:       {client['APIVersion']}\n Go version:        {client['GoVersion']}\n"
        f" Git commit:        {client['GitCommit']}\n Built:             {client['BuildTime']}\n"
        f" OS/Arch:           {where}\n Context:           default\n\n"
        f"Server: {server['Platform']['Name']}\n Engine:\n  Version:          {server['Version']}\n"
        f"  API version:      {API} (minimum version {MINIMUM_API})\n"
        f"  Go version:       {server['GoVersion']}\n  Git commit:       {server['GitCommit']}\n"
        f"  OS/Arch:          {where}\n  Experimental:     false\n"
    )


_SHOWN = {
    "Containers": "Containers",
    "ContainersRunning": " Running",
    "ContainersPaused": " Paused",
    "ContainersStopped": " Stopped",
    "Images": "Images",
    "ServerVersion": "Server Version",
    "PodmanVersion": "Podman Version",
    "Driver": "Storage Driver",
    "LoggingDriver": "Logging Driver",
    "CgroupDriver": "Cgroup Driver",
    "CgroupVersion": "Cgroup Version",
    "DefaultRuntime": "Default Runtime",
    "KernelVersion": "Kernel Version",
    "OperatingSystem": "Operating System",
    "OSType": "OSType",
    "Architecture": "Architecture",
    "NCPU": "CPUs",
    "MemTotal": "Total Memory",
    "Name": "Name",
    "ID": "ID",
    "DockerRootDir": "Docker Root Dir",
}


def _info_text(data: dict[str, Any]) -> str:
    lines = [f" {label}: {data[key]}" for key, label in _SHOWN.items()]
    swarm = f" Swarm: {data['Swarm']['LocalNodeState']}"
    head = ["Client:", f" Version:    {DOCKER}", " Context:    default", "", "Server:"]
    return "\n".join([*head, *lines, swarm]) + "\n"
