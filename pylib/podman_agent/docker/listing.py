"""``docker images`` and ``docker ps --format json``: podman's lists in docker's words."""

from __future__ import annotations

import fnmatch
import json
import re
import sys
from typing import TYPE_CHECKING

from podman_agent.docker.inspect import familiar, sha256
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
_MARK = "\x1f"
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12}(?:[0-9a-f]{52})?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}(?=\s|$|\W)")
_NEVER = {"--filter=status=dead", "--filter=status=restarting"}
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
    if "Image" in row:
        row["Image"] = familiar(row["Image"])
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def familiar_names(text: str) -> str:
    """Drop the registries that docker does not print, keeping the columns where they are."""
    return _PREFIX.sub(lambda m: m[2] + (m[3] + " " * len(m[1]) if len(m[3]) > 1 else m[3]), text)


def named(line: str, operand: str) -> bool:
    """Whether a row ``repository:tag`` is what ``docker images NAME[:TAG]`` asks for.

    Podman lists every name of an image that has one such name.
    """
    wanted = familiar(operand)
    row = familiar(line)
    return fnmatch.fnmatch(row if ":" in wanted.rpartition("/")[2] else row.rpartition(":")[0], wanted)


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
    options = [_known_state(token) for option in parsed.without("format") for token in option.tokens()]
    if rows:
        form = json_template(verb)
    if any(token.startswith("--filter=health=") for token in options):
        from podman_agent.docker.health import refresh_all  # noqa: PLC0415

        refresh_all(call)
    if verb == "ps" and not parsed.has("all", "latest", "last") and not any("status=" in token for token in options):
        options += ["--filter=status=running", "--filter=status=paused"]  # podman leaves paused ones out
    if verb == "ps":
        return _containers(call, options, form, quiet=parsed.has("quiet"), rows=rows)
    digests = verb == "images" and (parsed.has("digests") or "Digest" in (form or "")) and not parsed.has("quiet")
    asked = parsed.operands[0] if verb == "images" and parsed.operands and not parsed.has("quiet") else ""
    table = digests and (form is None or form.startswith("table"))
    if form is not None:
        marked = (asked or digests) and not form.startswith("table")
        hidden = f"{{{{.Repository}}}}:{{{{.Tag}}}} {{{{.ID}}}}{_MARK}" if marked else ""
        options.append(f"--format={hidden}{form}")
    code, text = call.read(verb, *options, *parsed.operands)
    lines = text.splitlines()
    if digests:
        lines = _registry_digests(call, lines, table=table)
    lines = _asked(lines, asked)
    if rows:
        lines = [docker_row(line) for line in lines]
    if parsed.has("quiet"):
        lines = [sha256(line.strip()) for line in lines]
    text = "".join(line + "\n" for line in lines)
    sys.stdout.write(familiar_names(text))
    return code


def _containers(call: Call, options: list[str], form: str | None, *, quiet: bool, rows: bool) -> int:
    """``docker ps``: images by docker's names, in their own column only."""
    table = form is None or form.startswith("table")
    if quiet or not (table or "Image" in str(form) or rows):
        call.become("ps", *options, *([] if form is None else [f"--format={form}"]))
    if form is not None:
        options = [*options, f"--format={'' if table or rows else f'{{{{.Image}}}}{_MARK}'}{form}"]
    code, text = call.read("ps", *options)
    lines = text.splitlines()
    if rows:
        lines = [docker_row(line) for line in lines]
    elif table:
        lines = image_column(lines)
    else:
        marked = (line.partition(_MARK) for line in lines)
        lines = [row.replace(name, familiar(name), 1) if name else row for name, _, row in marked]
    sys.stdout.write("".join(line + "\n" for line in lines))
    return code


def image_column(lines: list[str]) -> list[str]:
    """A table of podman's with the names under IMAGE as docker writes them."""
    at = lines[0].find("IMAGE ") if lines else -1
    if at < 0:
        return lines
    found = [lines[0]]
    for row in lines[1:]:
        name = row[at:].partition(" ")[0]
        found.append(row[:at] + familiar(name).ljust(len(name)) + row[at + len(name) :])
    return found


def _registry_digests(call: Call, lines: list[str], *, table: bool) -> list[str]:
    """Put the digest a registry has in the place of podman's own, ``<none>`` where none has it."""
    from podman_agent.docker.digests import of_all  # noqa: PLC0415

    known, found = of_all(call), []
    for line in lines:
        cells = (line if table else line.partition(_MARK)[0]).split()
        wanted = []
        if len(cells) > 1:
            # in a table of the user's own the columns may be any
            name = cells[0] if table else cells[0].rpartition(":")[0]
            short = next((c for c in reversed(cells[:4]) if _ID.fullmatch(c)), "").removeprefix("sha256:")
            wanted = [
                digest
                for image, names in known.items()
                if short and image.startswith(short)
                for repository, _, digest in (full.rpartition("@") for full in names)
                if familiar(repository) == familiar(name)
            ]

        def row(digest: str, line: str = line) -> str:
            there = digest.ljust(71) if table else digest
            return _DIGEST.sub(lambda match: match[0] if match[0][7:] in known else there, line)

        found += [row(digest) for digest in wanted or ["<none>"]]
    return found


def _asked(lines: list[str], operand: str) -> list[str]:
    """The rows of the names that were asked for; a header stays."""
    found = []
    for line in lines:
        name, mark, rest = line.partition(_MARK)
        columns = line.split()
        if mark:
            found += [rest] if not operand or named(name.split()[0], operand) else []
        elif (
            not operand
            or columns[:2] == ["REPOSITORY", "TAG"]
            or len(columns) < 2
            or named(":".join(columns[:2]), operand)
        ):
            found.append(line)
    return found


def _known_state(token: str) -> str:
    """Docker's states that podman's containers are never in, and whose names it refuses."""
    return "--filter=status=removing" if token in _NEVER else token
