"""List entries with fields (`output`, `cache-from`, `secret`, `ssh`, `attest`): read, merged, written as buildx does.

The code followed is https://github.com/docker/buildx/tree/master/util/buildflags.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Literal, assert_never

from podman_agent.bake.values import Type, convert, to_bool

if TYPE_CHECKING:
    from collections.abc import Iterable

EntryKind = Literal["output", "cache-from", "cache-to", "secret", "ssh", "attest"]
Entry = dict[str, Any]
"""Fields by name; `paths` of an ssh entry is a list, all else is text."""

_TEXTS = Type("map", Type("string"))


def entry_kind(key: str) -> EntryKind | None:
    """The kind of an attribute's entries; None for an attribute that has none."""
    match key:
        case "output" | "cache-from" | "cache-to" | "secret" | "ssh" | "attest":
            return key
        case _:
            return None


def read(kind: EntryKind, values: Any) -> list[Entry]:
    """An attribute's value as entries.

    Raises:
        TypeError: Not a list of texts and objects.
        ValueError: An entry lacks its type, or has a field that means nothing.
    """
    if not isinstance(values, list):
        msg = "list of map of string required"
        raise TypeError(msg)
    found: list[Entry] = []
    for value in values:
        if value == "":
            continue
        if isinstance(value, str):
            found += parse(kind, value)
        elif kind == "ssh":
            found.append(_ssh(value))
        else:
            fields = {k: v for k, v in convert(value, _TEXTS).items() if v is not None}
            if kind == "attest" and "disabled" in fields:
                fields["disabled"] = "true" if to_bool(fields["disabled"]) else ""
            found.append(_checked(kind, {k: v for k, v in fields.items() if v != "" or k not in {"dest", "disabled"}}))
    return found


def _ssh(value: Any) -> Entry:
    if not isinstance(value, dict):
        msg = "list of map of string required"
        raise TypeError(msg)
    return {"id": value.get("id") or "", "paths": list(value.get("paths") or [])}


def parse(kind: EntryKind, text: str) -> list[Entry]:
    """One text as entries: several only for a cache given as `ref,ref`.

    Raises:
        ValueError: It makes no sense.
    """
    fields = next(csv.reader([text]), [])
    match kind:
        case "ssh":
            name, _, paths = text.partition("=")
            return [{"id": name, "paths": paths.split(",") if paths else []}]
        case "cache-from" | "cache-to" if "=" not in text:
            return [{"type": "registry", "ref": field} for field in fields]
        case "output" if text == "-":
            return [{"type": "tar", "dest": "-"}]
        case "output" if len(fields) == 1 and fields[0] == text and not text.startswith("type="):
            return [{"type": "local", "dest": text}]
        case "output" | "cache-from" | "cache-to" | "secret" | "attest":
            return [_checked(kind, dict(_pair(field) for field in fields))]
        case unreachable:
            assert_never(unreachable)


def _pair(field: str) -> tuple[str, str]:
    key, separator, value = field.partition("=")
    if not separator:
        msg = f"invalid value {field}"
        raise ValueError(msg)
    return key.strip().lower(), value


def _checked(kind: EntryKind, entry: Entry) -> Entry:
    if kind == "secret":
        entry = {{"source": "src"}.get(k, k): v for k, v in entry.items() if v}
        if entry.pop("type", "") == "env" and "env" not in entry and "src" in entry:
            entry["env"] = entry.pop("src")
        if unknown := entry.keys() - {"id", "src", "env"}:
            msg = f"unexpected key {min(unknown)!r}"
            raise ValueError(msg)
    elif not entry.get("type"):
        msg = f"type required for {entry}"
        raise ValueError(msg)
    if kind == "attest" and "disabled" in entry:
        entry = {k: v for k, v in entry.items() if k != "disabled" or to_bool(v)}
    return entry


def merged(kind: EntryKind, first: Iterable[Entry], second: Iterable[Entry] = ()) -> list[Entry]:
    """Two lists as one, each entry once: the last of a type or an id wins, caches and outputs are told apart whole."""
    entries = [*first, *second]
    match kind:
        case "secret" | "ssh" | "attest":
            by = "type" if kind == "attest" else "id"
            found: dict[str, Entry] = {}
            for entry in entries:
                found[entry.get(by, "")] = entry
            return list(found.values())
        case "output" | "cache-from" | "cache-to":
            # buildx's own order: the last entry takes the place of a twin
            for at in range(len(entries) - 2, -1, -1):
                twin = next((j for j in range(at + 1, len(entries)) if entries[j] == entries[at]), None)
                if twin is not None:
                    entries[twin] = entries[-1]
                    entries.pop()
            return entries
        case unreachable:
            assert_never(unreachable)


def written(kind: EntryKind, entry: Entry) -> str:
    """An entry in buildx's text form, type or id first."""
    if kind == "ssh":
        return f"{entry['id']}={','.join(entry['paths'])}" if entry["paths"] else str(entry["id"])
    first = ("type", "id", "dest", "src", "env")
    keys = sorted(entry, key=lambda k: (first.index(k) if k in first else len(first), k))
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([f"{k}={entry[k]}" for k in keys])
    return line.getvalue()


def printed(kind: EntryKind, entry: Entry) -> dict[str, Any]:
    """An entry as ``bake --print`` has it."""
    if kind == "attest":
        return {k: True if k == "disabled" else v for k, v in entry.items()}
    return {k: v for k, v in entry.items() if v or kind != "ssh"}
