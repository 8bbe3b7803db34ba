"""Text with ``${…}`` and ``%{…}`` in it: quoted strings, heredocs, and the strings of a JSON file.

https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#templates
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lark import Tree

from podman_agent.bake.syntax import attributes, parse, text, trees
from podman_agent.bake.values import to_bool, to_string
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

Lookup = Callable[[str], Any]
Evaluate = Callable[[Any, Lookup], Any]
Part = str | Tree[Any]

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_ENDS = {"template_if_start": "template_endif", "template_for_start": "template_endfor"}


def quoted(node: Tree[Any]) -> list[Part]:
    """The parts of a quoted string."""
    found: list[Part] = []
    for part in trees(node):
        for child in part.children:
            if isinstance(child, Tree):
                found.append(child)
            else:
                raw = str(child)
                # `$${` and `%%{` mean themselves
                raw = re.sub(r"([$%])\1\{", r"\1{", raw)
                found.append(_ESCAPE.sub(_unescape, raw))
    return found


def _unescape(match: re.Match[str]) -> str:
    simple, short, long = match.groups()
    return _ESCAPES[simple] if simple else chr(int(short or long, 16))


def raw(source: str) -> list[Part]:
    """The parts of text in which backslashes mean nothing.

    Raises:
        DataError: A ``${`` is not closed, or what is in it is no expression.
    """
    found: list[Part] = []
    position = 0
    for match in re.finditer(r"([$%])(?:(\1)?\{)", source):
        if match.start() < position:
            continue
        found.append(source[position : match.start()])
        if match[2]:
            found.append(match[1] + "{")
            position = match.end()
            continue
        position = _closing(source, match.end()) + 1
        node = attributes(parse(f'x = "{source[match.start() : position]}"', "template"))["x"]
        found += quoted(next(c for c in node.iter_subtrees_topdown() if c.data == "string"))  # type: ignore[union-attr]
    found.append(source[position:])
    return [part for part in found if part != ""]


def _closing(source: str, start: int) -> int:
    depth, in_quotes, index = 1, False, start
    while index < len(source):
        char = source[index]
        if char == "\\" and in_quotes:
            index += 1
        elif char == '"':
            in_quotes = not in_quotes
        elif not in_quotes and char in "{}":
            depth += 1 if char == "{" else -1
            if not depth:
                return index
        index += 1
    what = f"unclosed ${{ in {source!r}"
    raise DataError(what)


def render(parts: list[Part], lookup: Lookup, evaluate: Evaluate) -> Any:
    """Compute a template.

    Args:
        parts: As `quoted` and `raw` give them.
        lookup: The names.
        evaluate: Computes an expression.

    Returns:
        Text; or the value itself if the template is one interpolation and nothing else.

    Raises:
        DataError: A directive is not ended.
        TypeError: A value that has no text.
    """
    if len(parts) == 1 and isinstance(parts[0], Tree) and parts[0].data not in _ENDS:
        return evaluate(parts[0], lookup)
    rest = iter(_trimmed(parts))
    return "".join(_until(rest, (), lookup, evaluate)[0])


def _trimmed(parts: list[Part]) -> list[Part]:
    """Take away the white space beside ``~``."""
    found = list(parts)
    for at, part in enumerate(parts):
        if isinstance(part, str):
            continue
        marks = [str(c) for c in part.children if not isinstance(c, Tree)]
        if "~" in marks[1:2] or marks[0].endswith("~"):
            before = found[at - 1] if at else None
            if isinstance(before, str):
                found[at - 1] = before.rstrip()
        if "~" in marks[-2:-1] or marks[-1].startswith("~"):
            after = found[at + 1] if at + 1 < len(found) else None
            if isinstance(after, str):
                found[at + 1] = after.lstrip()
    return found


def _until(
    rest: Iterator[Part], ends: tuple[str, ...], lookup: Lookup | None, evaluate: Evaluate
) -> tuple[list[str], str]:
    """Render up to one of the directives `ends`; nothing is computed without a lookup."""
    found: list[str] = []
    for part in rest:
        if isinstance(part, str):
            found.append(part)
        elif part.data in ends:
            return found, part.data
        elif part.data == "template_if_start":
            found += _chosen(part, rest, lookup, evaluate)
        elif part.data == "template_for_start":
            found += _repeated(part, rest, lookup, evaluate)
        elif lookup is not None:
            found.append(to_string(evaluate(part, lookup)))
    if ends:
        what = f"bake file: a template lacks its {ends[-1].removeprefix('template_')}"
        raise DataError(what)
    return found, ""


def _chosen(start: Tree[Any], rest: Iterator[Part], lookup: Lookup | None, evaluate: Evaluate) -> list[str]:
    holds = lookup is not None and to_bool(evaluate(trees(start)[0], lookup))
    ends = ("template_else", "template_endif")
    yes, end = _until(rest, ends, lookup if holds else None, evaluate)
    no: list[str] = []
    if end == "template_else":
        no, _ = _until(rest, ends[1:], None if holds else lookup, evaluate)
    return yes if holds else no


def _repeated(start: Tree[Any], rest: Iterator[Part], lookup: Lookup | None, evaluate: Evaluate) -> list[str]:
    body = list(_body(rest))
    if lookup is None:
        return []
    *names, source = trees(start)
    found: list[str] = []
    for bound in bindings([text(n) for n in names], evaluate(source, lookup)):
        inner = within(lookup, bound)
        found += _until(iter(body), (), inner, evaluate)[0]
    return found


def _body(rest: Iterator[Part]) -> Iterator[Part]:
    depth = 1
    for part in rest:
        if isinstance(part, Tree):
            depth += (part.data == "template_for_start") - (part.data == "template_endfor")
            if not depth:
                return
        yield part
    what = "bake file: a template lacks its endfor"
    raise DataError(what)


def bindings(names: list[str], items: Any) -> Iterator[dict[str, Any]]:
    """What the names of a ``for`` stand for, element by element.

    Raises:
        TypeError: Not a list or a map.
    """
    if isinstance(items, Mapping):
        pairs: list[tuple[Any, Any]] = sorted(items.items())
    elif isinstance(items, list):
        pairs = list(enumerate(items))
    else:
        msg = "a for expression needs a list or a map"
        raise TypeError(msg)
    for key, value in pairs:
        yield dict(zip(names, (key, value) if len(names) > 1 else (value,), strict=True))


def within(lookup: Lookup, bound: Mapping[str, Any]) -> Lookup:
    """A lookup in which `bound` comes first."""
    return lambda name: bound[name] if name in bound else lookup(name)
