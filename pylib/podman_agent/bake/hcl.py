"""Evaluates the expressions of an HCL file; python-hcl2 parses, this module computes.

The language: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md. Template directives
(``%{if}``, ``%{for}``) are refused; everything bake's documentation uses is here.
"""

from __future__ import annotations

import operator
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import hcl2
from lark import Token, Tree
from lark.exceptions import LarkError

from podman_agent.bake.functions import FUNCTIONS, to_number, to_string
from podman_agent.errors import DataError

Node = Tree[Any] | Token
Lookup = Callable[[str], Any]
"""Gives the value of a name; raises KeyError for an unknown one."""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: to_number(a) + to_number(b),
    "-": lambda a, b: to_number(a) - to_number(b),
    "*": lambda a, b: to_number(a) * to_number(b),
    "/": lambda a, b: to_number(to_number(a) / to_number(b)),
    "%": FUNCTIONS["modulo"],
    "==": operator.eq,
    "!=": operator.ne,
    "<": lambda a, b: to_number(a) < to_number(b),
    ">": lambda a, b: to_number(a) > to_number(b),
    "<=": lambda a, b: to_number(a) <= to_number(b),
    ">=": lambda a, b: to_number(a) >= to_number(b),
}


def parse(text: str, name: str) -> Tree[Any]:
    """Parse a whole HCL file.

    Args:
        text: The file's content.
        name: What to call it in an error.

    Returns:
        The ``body`` node.

    Raises:
        DataError: If it is not HCL; the message has the line.
    """
    try:
        return _trees(hcl2.parses_to_tree(text))[0]
    except LarkError as error:
        line = getattr(error, "line", "?")
        what = f"{name}:{line}"
        raise DataError(what, "not valid HCL: " + str(error).splitlines()[0]) from error


def attributes(body: Tree[Any]) -> dict[str, Node]:
    """Map the attribute names of a body to their expressions, not yet evaluated."""
    return {text(node.children[0]): node.children[2] for node in _trees(body) if node.data == "attribute"}


def blocks(body: Tree[Any]) -> list[tuple[str, str, Tree[Any]]]:
    """List the blocks of a body as (type, first label or empty, body)."""
    found = []
    for node in _trees(body):
        if node.data == "block":
            words = [text(c) for c in _trees(node) if c.data in {"identifier", "keyword", "string"}]
            inner = next(c for c in _trees(node) if c.data == "body")
            found.append((words[0], words[1] if len(words) > 1 else "", inner))
    return found


def text(node: Node) -> str:
    """Give the source text of a node, a quoted string without its quotes."""
    if isinstance(node, Token):
        return str(node)
    return "".join(text(c) for c in node.children).strip('"')


def identifiers(node: Node) -> list[str]:
    """List the names in a node without evaluating it: a function block's ``params``."""
    if isinstance(node, Token):
        return []
    if node.data == "identifier":
        return [text(node)]
    return [name for c in node.children for name in identifiers(c)]


def template(source: str, lookup: Lookup) -> Any:
    """Evaluate text with ``${...}`` in it, as JSON strings and heredocs have it.

    Args:
        source: Text in which backslashes mean nothing.
        lookup: The names.

    Returns:
        A string, or the value itself if the text is one interpolation and nothing else.
    """
    parts: list[Any] = []
    position = 0
    while position < len(source):
        start = source.find("${", position)
        if start < 0:
            parts.append(source[position:])
            break
        if source[start - 1 : start] == "$":
            parts.append(source[position : start - 1] + "${")
            position = start + 2
            continue
        parts.append(source[position:start])
        end = _closing(source, start + 2)
        node = attributes(parse(f"x = {source[start + 2 : end]}", "template"))["x"]
        parts.append(evaluate(node, lookup))
        position = end + 1
    parts = [p for p in parts if p != ""]
    return parts[0] if len(parts) == 1 else "".join(to_string(p) for p in parts)


def _closing(source: str, start: int) -> int:
    depth, quoted, index = 1, False, start
    while index < len(source):
        char = source[index]
        if char == "\\" and quoted:
            index += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "{}":
            depth += 1 if char == "{" else -1
            if not depth:
                return index
        index += 1
    what = f"unclosed ${{ in {source!r}"
    raise DataError(what)


def _trees(node: Tree[Any]) -> list[Tree[Any]]:
    return [c for c in node.children if isinstance(c, Tree) and c.data != "new_line_or_comment"]


def evaluate(node: Any, lookup: Lookup) -> Any:
    """Compute an expression.

    Args:
        node: A node of python-hcl2's tree, or a plain JSON value whose strings are templates.
        lookup: Gives variables by name, and functions by name followed by ``()``.

    Returns:
        None, bool, int, float, str, list or dict.

    Raises:
        DataError: For an unknown name, a wrong type or an unsupported construct.
    """
    if not isinstance(node, Tree):
        return _plain(node, lookup)
    try:
        rule = _RULES[node.data]
    except KeyError:
        what = f"bake file: {node.data.replace('_', ' ')} is not supported"
        raise DataError(what, text(node)) from None
    try:
        return rule(node, lookup)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        StopIteration,
    ) as error:
        what = f"bake file: cannot evaluate {text(node)[:80]}"
        raise DataError(what, str(error) or type(error).__name__) from error


def _plain(value: Any, lookup: Lookup) -> Any:
    match value:
        case Token():
            return str(value)
        case str():
            return template(value, lookup)
        case list():
            return [evaluate(v, lookup) for v in value]
        case dict():
            return {template(k, lookup): evaluate(v, lookup) for k, v in value.items()}
        case _:
            return value


def _only(node: Tree[Any], lookup: Lookup) -> Any:
    return evaluate(_trees(node)[0], lookup)


def _literal(node: Tree[Any], _lookup: Lookup) -> Any:
    return {"true": True, "false": False, "null": None}[text(node)]


def _name(node: Tree[Any], lookup: Lookup) -> Any:
    try:
        return lookup(text(node))
    except KeyError:
        what = f"bake file: unknown variable {text(node)}"
        raise DataError(what) from None


def _string(node: Tree[Any], lookup: Lookup) -> Any:
    parts: list[Any] = []
    for part in _trees(node):
        child = part.children[0]
        if isinstance(child, Token):
            raw = str(child)
            if child.type == "ESCAPED_INTERPOLATION":
                raw = raw[1:]
            parts.append(_ESCAPE.sub(_unescape, raw))
        else:
            parts.append(evaluate(child, lookup))
    return parts[0] if len(parts) == 1 else "".join(to_string(p) for p in parts)


def _unescape(match: re.Match[str]) -> str:
    simple, short, long = match.groups()
    return _ESCAPES[simple] if simple else chr(int(short or long, 16))


def _heredoc(node: Tree[Any], lookup: Lookup) -> str:
    lines = text(node).split("\n")
    while not lines[-1].strip():  # the newline that ends the closing marker
        lines.pop()
    body = "\n".join([*lines[1:-1], ""])
    if node.data == "heredoc_template_trim":
        body = textwrap.dedent(body)
    return to_string(template(body, lookup))


def _tuple(node: Tree[Any], lookup: Lookup) -> list[Any]:
    return [evaluate(c, lookup) for c in _trees(node)]


def _object(node: Tree[Any], lookup: Lookup) -> dict[str, Any]:
    return {_key(_trees(e)[0], lookup): evaluate(_trees(e)[1], lookup) for e in _trees(node)}


def _key(node: Tree[Any], lookup: Lookup) -> str:
    inner = node.children[0]
    while isinstance(inner, Tree) and inner.data == "expr_term" and len(inner.children) == 1:
        inner = inner.children[0]
    if isinstance(inner, Tree) and inner.data in {"identifier", "keyword", "literal_value"}:
        return text(inner)
    return to_string(evaluate(inner, lookup))


def _conditional(node: Tree[Any], lookup: Lookup) -> Any:
    test, yes, no = _trees(node)
    return evaluate(yes if evaluate(test, lookup) else no, lookup)


def _unary(node: Tree[Any], lookup: Lookup) -> Any:
    value = _only(node, lookup)
    return not value if text(node.children[0]) == "!" else -to_number(value)


def _binary(node: Tree[Any], lookup: Lookup) -> Any:
    left, term = _trees(node)
    sign, right = text(_trees(term)[0]), _trees(term)[1]
    value = evaluate(left, lookup)
    if sign in {"&&", "||"}:
        return bool(value) if bool(value) is (sign == "||") else bool(evaluate(right, lookup))
    return _BINARY[sign](value, evaluate(right, lookup))


def _call(node: Tree[Any], lookup: Lookup) -> Any:
    name = text(_trees(node)[0])
    given = next((c for c in _trees(node) if c.data == "arguments"), None)
    nodes = _trees(given) if given is not None else []
    if name in {"try", "can"}:
        return _attempt(name, nodes, lookup)
    try:
        function = lookup(f"{name}()")
    except KeyError:
        what = f"bake file: unknown function {name}"
        raise DataError(what) from None
    values = [evaluate(n, lookup) for n in nodes]
    if given is not None and given.children[-1] == "...":
        values[-1:] = values[-1]
    return function(*values)


def _attempt(name: str, nodes: list[Tree[Any]], lookup: Lookup) -> Any:
    for node in nodes:
        try:
            value = evaluate(node, lookup)
        except DataError:
            continue
        return True if name == "can" else value
    if name == "can":
        return False
    what = "bake file: no argument of try() can be evaluated"
    raise DataError(what)


def _index(node: Tree[Any], lookup: Lookup) -> Any:
    value, index = _trees(node)
    base = evaluate(value, lookup)
    key = int(text(index.children[1])) if index.data == "short_index" else _only(index, lookup)
    return base[str(key)] if isinstance(base, Mapping) else base[int(key)]


def _attr(node: Tree[Any], lookup: Lookup) -> Any:
    value, attr = _trees(node)
    return evaluate(value, lookup)[text(_trees(attr)[0])]


def _splat(node: Tree[Any], lookup: Lookup) -> list[Any]:
    value, splat = _trees(node)
    items = evaluate(value, lookup)
    for step in _trees(splat):
        key = text(_trees(step)[0])
        items = [i[key] for i in items]
    return list(items)


def _for(node: Tree[Any], lookup: Lookup) -> Any:
    intro, *results = [c for c in _trees(node) if c.data != "for_cond"]
    condition = next((c for c in _trees(node) if c.data == "for_cond"), None)
    *names, source = _trees(intro)
    items = evaluate(source, lookup)
    pairs = items.items() if isinstance(items, Mapping) else enumerate(items)
    rows = []
    for key, value in pairs:
        bound = dict(zip(map(text, names), (key, value) if len(names) > 1 else (value,), strict=True))

        def inner(name: str, bound: dict[str, Any] = bound) -> Any:
            return bound[name] if name in bound else lookup(name)

        if condition is None or _only(condition, inner):
            rows.append([evaluate(r, inner) for r in results])
    if node.data == "for_tuple_expr":
        return [row[0] for row in rows]
    if any(str(c) == "..." for c in node.children if isinstance(c, Token)):
        grouped: dict[str, list[Any]] = {}
        for key, value in rows:
            grouped.setdefault(key, []).append(value)
        return grouped
    return {to_string(key): value for key, value in rows}


_RULES: dict[str, Callable[[Tree[Any], Lookup], Any]] = {
    "expr_term": _only,
    "interpolation": _only,
    "literal_value": _literal,
    "identifier": _name,
    "int_lit": lambda node, _: int(text(node)),
    "float_lit": lambda node, _: float(text(node)),
    "string": _string,
    "heredoc_template": _heredoc,
    "heredoc_template_trim": _heredoc,
    "tuple": _tuple,
    "object": _object,
    "conditional": _conditional,
    "unary_op": _unary,
    "binary_op": _binary,
    "function_call": _call,
    "index_expr_term": _index,
    "get_attr_expr_term": _attr,
    "attr_splat_expr_term": _splat,
    "full_splat_expr_term": _splat,
    "for_tuple_expr": _for,
    "for_object_expr": _for,
}
