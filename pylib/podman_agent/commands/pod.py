"""``podman-agent pod``: print a pod template, as YAML, Configuration as Code or a stanza."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podman_agent.errors import DataError, UsageError
from podman_agent.jenkins import formats, pod, podsecurity
from podman_agent.jenkins.trust import LEVELS

BUILD = pod.BUILD_RESOURCES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of a pod template have no effect beside FILE."""
    parser.add_argument("--trust", choices=tuple(LEVELS), default="unprivileged")
    parser.add_argument("--cache", default="none", help="none, hostpath:/DIR, pvc:NAME or ephemeral[:CLASS]")
    parser.add_argument("--size", default="30Gi", help="of the claim or emptyDir (%(default)s)")
    parser.add_argument("--key", default="", help="team whose store on a shared volume to claim")
    parser.add_argument(
        "--layout",
        choices=("container", "single", "sidecar"),
        default="container",
        help="beside the plugin's own agent, as the agent itself, or with the agent written out",
    )
    parser.add_argument("--image", default=pod.IMAGE, help="reference of the agent image")
    parser.add_argument("--name", help="name of the pod")
    parser.add_argument("--replace-entrypoint", action="store_true", help="command: [cat] instead of args: [cat]")
    parser.add_argument("--cpu", default=BUILD.cpu, help="request (%(default)s)")
    parser.add_argument("--memory", default=BUILD.memory, help="request (%(default)s)")
    parser.add_argument("--cpu-limit", default=BUILD.cpu_limit, help="(%(default)s)")
    parser.add_argument("--memory-limit", default=BUILD.memory_limit, help="(%(default)s)")
    parser.add_argument("--format", choices=("pod", "jcasc", "helm", "jenkinsfile"), default="pod")
    parser.add_argument("files", nargs="*", metavar="FILE", type=Path, help="wrap these pod files, make none")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for on stdout."""
    print(_text(args), end="")
    return 0


def _text(args: argparse.Namespace) -> str:
    files: list[Path] = args.files
    if args.format == "pod":
        if files:
            msg = "--format pod FILE: a pod file is one already"
            raise UsageError(msg)
        options = _options(args)
        objects = pod.objects(options)
        level = podsecurity.level(objects[-1])
        header = f"# {_command_line(args)}\n# Pod Security level: {level}\n"
        return header + formats.to_yaml(objects, pod.comments(options))
    pods = [found for path in files if (found := _read(path, args.format != "helm"))] or [_made(_options(args))]
    if args.format == "jcasc":
        labels = {made["metadata"]["name"]: text for made, text in pods}
        return f"# {_command_line(args)}\n{formats.to_jcasc(labels)}"
    if args.format == "helm":
        labels = {made["metadata"]["name"]: text for made, text in pods if made["kind"] == "Pod"}
        others = [text for path in files for made, text in _objects(path) if made["kind"] != "Pod"]
        return f"# {_command_line(args)}\n{formats.to_helm(labels, others)}"
    if len(pods) > 1:
        msg = "--format jenkinsfile: a stanza holds one pod"
        raise UsageError(msg, fix="give one FILE")
    made, text = pods[0]
    return formats.to_jenkinsfile(text, made["spec"]["containers"][0]["name"])


def _options(args: argparse.Namespace) -> pod.PodOptions:
    cache = pod.Cache.parse(args.cache, args.size)
    return pod.PodOptions(
        name=args.name or pod.default_name(args.trust, cache, args.layout),
        trust=args.trust,
        cache=cache,
        key=args.key,
        layout=args.layout,
        image=args.image,
        replace_entrypoint=args.replace_entrypoint,
        resources=pod.Resources(args.cpu, args.memory, args.cpu_limit, args.memory_limit),
    )


def _made(options: pod.PodOptions) -> tuple[dict[str, Any], str]:
    made = pod.pod(options)
    return made, formats.to_yaml([made], pod.comments(options))


def _read(path: Path, needed: bool) -> tuple[dict[str, Any], str] | None:
    """The Pod in a file and its text: Jenkins takes no other object, and no leading comment."""
    for made, text in _objects(path):
        if made["kind"] == "Pod":
            return made, text
    if not needed:
        return None
    msg = f"{path}: not a pod file"
    raise DataError(msg, "it holds no object of kind Pod")


def _objects(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Each Kubernetes object in a file, and its text."""
    found = []
    try:
        for text in re.split(r"^---\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            made = YAML(typ="safe").load(text)
            if isinstance(made, dict) and "kind" in made:
                found.append((made, _without_header(text)))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        msg = f"{path}: not a pod file"
        raise DataError(msg, str(error)) from error
    return found


def _without_header(text: str) -> str:
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        del lines[0]
    return "".join(lines)


def _command_line(args: argparse.Namespace) -> str:
    """The command that prints the same again, its defaults left out."""
    defaults = argparse.ArgumentParser()
    add_arguments(defaults)
    words = ["podman-agent", "pod"]
    for name, value in vars(args).items():
        if name in {"command", "files"} or value == defaults.get_default(name):
            continue
        words.append("--" + name.replace("_", "-"))
        words += [] if value is True else [value]
    return shlex.join([*words, *map(str, args.files)])
