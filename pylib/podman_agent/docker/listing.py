"""``docker images`` and ``docker ps --format json``: podman's lists in docker's words."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from podman_agent.docker.inspect import sha256
from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

SPECS = {
    "images": Spec(words("filter format sort"), words(""), letters("f=filter q=quiet a=all n=noheading")),
    "ps": Spec(
        words("filter format last pod sort watch"),
        words(""),
        letters("f=filter q=quiet a=all n=last l=latest s=size w=watch p=pod"),
    ),
    "history": Spec(words("format"), words(""), letters("q=quiet H=human")),
}

# https://docs.docker.com/reference/cli/docker/container/ls/#format and .../image/ls/#format
_FIELDS = {
    "ps": "Command CreatedAt ID Image Labels Mounts Names Networks Ports RunningFor State Status",
    "images": "CreatedAt CreatedSince Digest ID Repository Size Tag",
    "history": "Comment CreatedAt CreatedBy CreatedSince ID Size",
}
_JSON = re.compile(r"^(json|\{\{\s*json\s+\.\s*\}\})$")
_PREFIX = re.compile(r"(?<![\w./@:-])(localhost/|docker\.io/library/|docker\.io/)(\S+)([ ]*)")


def json_template(verb: str) -> str:
    """One JSON object a line, with docker's keys, out of podman's fields."""
    pairs = ",".join(f'"{name}":{{{{json .{name}}}}}' for name in _FIELDS[verb].split())
    return "{" + pairs + "}"


def docker_row(line: str) -> str:
    """A line of `json_template` with docker's types: lists and maps are comma-separated texts."""
    row = json.loads(line)
    for name in ("Labels", "Mounts"):
        value = row.get(name, "")
        pairs = [f"{k}={v}" for k, v in value.items()] if isinstance(value, dict) else value
        if name in row and not isinstance(value, str):
            row[name] = ",".join(pairs or ())
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def familiar_names(text: str) -> str:
    """Drop the registries that docker does not print, keeping the columns where they are."""
    return _PREFIX.sub(lambda m: m[2] + (m[3] + " " * len(m[1]) if len(m[3]) > 1 else m[3]), text)


def run(call: Call, verb: str, args: list[str]) -> int:
    """List images, containers or an image's layers.

    Args:
        call: The docker call.
        verb: ``images``, ``ps`` or ``history``.
        args: What follows it.

    Returns:
        Podman's exit code.
    """
    parsed = parse(args, SPECS[verb])
    form = parsed.get("format")
    rows = form is not None and bool(_JSON.match(form))
    if rows:
        rest = [t for option in parsed.without("format") for t in option.tokens()]
        args = [*rest, f"--format={json_template(verb)}", *parsed.operands]
    elif verb == "ps":
        call.become("ps", *args)
    code, text = call.read(verb, *args)
    if rows:
        text = "".join(docker_row(line) + "\n" for line in text.splitlines())
    if parsed.has("quiet"):
        text = "".join(sha256(line.strip()) + "\n" for line in text.splitlines())
    sys.stdout.write(text if verb == "ps" else familiar_names(text))
    return code
