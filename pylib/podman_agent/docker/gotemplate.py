"""The part of Go's text/template that people write after ``--format``, over JSON-like values.

Podman has the real thing, but over its own structures; this one renders docker's.
Reference: https://pkg.go.dev/text/template and https://docs.docker.com/engine/cli/formatting/.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TemplateError(Exception):
    """The template is wrong, or uses what is not supported here; docker exits with 1."""


class _Token(NamedTuple):
    kind: str
    text: str
    spaced: bool


class _Node(NamedTuple):
    kind: str
    tokens: list[_Token]
    body: list[Any]
    otherwise: list[Any]


_ACTION = re.compile(
    r"\{\{(-\s)?\s*(/\*.*?\*/|(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^}]|\}(?!\}))*?)\s*(-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""(\s*)(?:(?P<text>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)
    |(?P<field>\$\w*(?:\.\w+)*|(?:\.\w+)+|\.)|(?P<word>\w+)|(?P<mark>:=|[()|,=]))""",
    re.VERBOSE,
)
_BLOCKS = {"if", "range", "with"}


def _tokens(action: str) -> list[_Token]:
    found, at = [], 0
    while at < len(action):
        match = _TOKEN.match(action, at)
        if not match or match.lastgroup is None:
            msg = f"unexpected {action[at:]!r} in template action"
            raise TemplateError(msg)
        found.append(_Token(match.lastgroup, match[match.lastgroup], bool(match[1])))
        at = match.end()
    return found


def _parse(template: str) -> list[Any]:
    """A tree of texts and `_Node`s."""
    root: list[Any] = []
    stack: list[tuple[_Node | None, list[Any]]] = [(None, root)]
    at, trim = 0, False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trim else text
        stack[-1][1].append(text.rstrip() if match[1] else text)
        at, trim = match.end(), bool(match[3])
        if match[2].startswith("/*"):
            continue
        tokens = _tokens(match[2])
        head = tokens[0].text if tokens and tokens[0].kind == "word" else ""
        if head in _BLOCKS:
            node = _Node(head, tokens[1:], [], [])
            stack[-1][1].append(node)
            stack.append((node, node.body))
        elif head == "else" and stack[-1][0]:
            node = stack.pop()[0]  # type: ignore[assignment]
            stack.append((node, node.otherwise))
            if len(tokens) > 1:
                msg = "else if is not supported"
                raise TemplateError(msg)
        elif head == "end" and len(stack) > 1:
            stack.pop()
        elif not tokens or head in {"else", "end", "define", "template", "block"}:
            msg = f"unexpected {{{{{match[2]}}}}}"
            raise TemplateError(msg)
        else:
            stack[-1][1].append(_Node("print", tokens, [], []))
    rest = template[at:]
    if len(stack) > 1 or "{{" in rest:
        msg = "unclosed action"
        raise TemplateError(msg)
    root.append(rest.lstrip() if trim else rest)
    return root


def show(value: Any) -> str:
    """A value as Go's ``%v`` prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{show(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


def _printf(form: str, *values: Any) -> str:
    rest = iter(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = next(rest, None)
        if match[2] == "q":
            return json.dumps(show(value))
        text = show(value) if match[2] in "vs" else ("%" + match[2]) % value
        return (
            f"{text:>{match[1]}}"
            if match[1] and match[1][0] != "-"
            else (f"{text:<{match[1][1:]}}" if match[1] else text)
        )

    return re.sub(r"%(-?\d*)([vsqdxX%])", one, form)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, list) and not (isinstance(key, int) and 0 <= key < len(value)):
            msg = f"error calling index: index out of range: {show(key)}"
            raise TemplateError(msg)
        value = value.get(key) if isinstance(value, dict) else value[key] if value else None
    return value


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": _dump,
    "index": _index,
    "len": lambda value: len(value or ()),
    "print": lambda *values: "".join(map(show, values)),
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "printf": _printf,
    "join": lambda values, by: by.join(map(show, values or ())),
    "split": lambda text, by: text.split(by),
    "lower": lambda text: show(text).lower(),
    "upper": lambda text: show(text).upper(),
    "title": lambda text: show(text).title(),
    "truncate": lambda text, size: show(text)[:size],
    "slice": lambda value, low=0, high=None: value[low:high],
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, other: first != other,
    "lt": lambda first, other: first < other,
    "le": lambda first, other: first <= other,
    "gt": lambda first, other: first > other,
    "ge": lambda first, other: first >= other,
    "not": lambda value: not value,
    "and": lambda *values: next((v for v in values if not v), values[-1]),
    "or": lambda *values: next((v for v in values if v), values[-1]),
}
_CONSTANTS = {"true": True, "false": False, "nil": None}


class _Evaluation:
    """One rendering: the data, the dot and the variables."""

    def __init__(self, data: Any) -> None:
        self.dot = data
        self.names: dict[str, Any] = {"$": data}

    def nodes(self, nodes: list[Any]) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, str):
                yield node
            elif node.kind == "range":
                yield from self._range(node)
            else:
                names, tokens = _assigned(node.tokens)
                value = self.pipeline(tokens)
                if names:
                    self.names[names[-1]] = value
                if node.kind == "print":
                    yield "" if names else show(value)
                elif node.kind == "if":
                    yield from self.nodes(node.body if value else node.otherwise)
                else:
                    yield from self._inside(value, node)

    def _inside(self, value: Any, node: _Node) -> Iterator[str]:
        if not value:
            yield from self.nodes(node.otherwise)
            return
        outer, self.dot = self.dot, value
        yield from self.nodes(node.body)
        self.dot = outer

    def _range(self, node: _Node) -> Iterator[str]:
        names, tokens = _assigned(node.tokens)
        value = self.pipeline(tokens)
        pairs = sorted(value.items()) if isinstance(value, dict) else list(enumerate(value or ()))
        if not pairs:
            yield from self.nodes(node.otherwise)
        outer = self.dot
        for key, item in pairs:
            self.dot = item
            self.names.update(zip(reversed(names), (item, key), strict=False))
            yield from self.nodes(node.body)
        self.dot = outer

    def pipeline(self, tokens: list[_Token]) -> Any:
        value, first = None, True
        for command in _split(tokens):
            terms = list(self._terms(command))
            if not first:
                terms.append(value)
            value, first = _apply(terms), False
        return value

    def _terms(self, tokens: list[_Token]) -> Iterator[Any]:
        at = 0
        while at < len(tokens):
            token = tokens[at]
            at += 1
            if token.kind == "text":
                yield json.loads(token.text) if token.text[0] == '"' else token.text[1:-1]
            elif token.kind == "number":
                yield float(token.text) if "." in token.text else int(token.text)
            elif token.kind == "field":
                yield self._field(token.text)
            elif token.kind == "word" and token.text in _CONSTANTS:
                yield _CONSTANTS[token.text]
            elif token.kind == "word" and token.text in _FUNCTIONS:
                yield _FUNCTIONS[token.text]
            elif token.text == "(":
                end = _closing(tokens, at)
                value = self.pipeline(tokens[at:end])
                at = end + 1
                if at < len(tokens) and tokens[at].kind == "field" and not tokens[at].spaced:
                    value = _walk(value, tokens[at].text)
                    at += 1
                yield value
            else:
                msg = f'function "{token.text}" not defined'
                raise TemplateError(msg)

    def _field(self, text: str) -> Any:
        if text.startswith("$"):
            name, dot, path = text.partition(".")
            if name not in self.names:
                msg = f"undefined variable {name}"
                raise TemplateError(msg)
            return _walk(self.names[name], dot + path) if path else self.names[name]
        return self.dot if text == "." else _walk(self.dot, text)


def _apply(terms: list[Any]) -> Any:
    if not terms:
        msg = "missing value for command"
        raise TemplateError(msg)
    if not callable(terms[0]):
        return terms[0]
    try:
        return terms[0](*(term() if callable(term) else term for term in terms[1:]))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise TemplateError(str(error)) from error


def _walk(value: Any, path: str) -> Any:
    for key in path.strip(".").split("."):
        if not isinstance(value, dict) or key not in value:
            msg = f'map has no entry for key "{key}"'
            raise TemplateError(msg)
        value = value[key]
    return value


def _closing(tokens: list[_Token], at: int) -> int:
    depth = 1
    for position in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[position].text, 0) if tokens[position].kind == "mark" else 0
        if not depth:
            return position
    msg = "unclosed left parenthesis"
    raise TemplateError(msg)


def _split(tokens: list[_Token]) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "mark":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind == "mark" and token.text == "|" and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _assigned(tokens: list[_Token]) -> tuple[list[str], list[_Token]]:
    """``$k, $v := …`` apart."""
    for position, token in enumerate(tokens):
        if token.kind == "mark" and token.text in {":=", "="}:
            return [t.text for t in tokens[:position] if t.kind == "field"], tokens[position + 1 :]
    return [], tokens


def render(template: str, data: Any) -> str:
    r"""Render a ``--format`` template.

    Args:
        template: The template; the two characters ``\t`` and ``\n`` count as tab and line feed.
        data: Dictionaries, lists, strings, numbers.

    Returns:
        The text, without a final line feed.

    Raises:
        TemplateError: A syntax error, an unknown key, or something not supported.
    """
    if template == "json":
        return _dump(data)
    template = template.replace("\\t", "\t").replace("\\n", "\n")
    return "".join(_Evaluation(data).nodes(_parse(template)))
