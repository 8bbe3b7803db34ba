"""Evaluates the expressions of an HCL file; python-hcl2 parses, this module computes.

The language: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from lark import Token, Tree

from podman_agent.bake.arithmetic import divide, modulo
from podman_agent.bake.syntax import text, trees
from podman_agent.bake.templates import Lookup, bindings, quoted, raw, render, within
from podman_agent.bake.values import (
    EXACT,
    SetValue,
    Type,
    TypeKind,
    convert,
    same,
    to_bool,
    to_number,
    to_string,
    unified,
    whole,
)
from podman_agent.errors import DataError

_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: whole(EXACT.add(Decimal(a), Decimal(b))),
    "-": lambda a, b: whole(EXACT.subtract(Decimal(a), Decimal(b))),
    "*": lambda a, b: whole(EXACT.multiply(Decimal(a), Decimal(b))),
    "/": divide,
    "%": modulo,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def evaluate(node: Any, lookup: Lookup) -> Any:
    """Compute an expression.

    Args:
        node: A node of python-hcl2's tree, or a plain JSON value whose strings are templates.
        lookup: Gives variables by name, and functions by name followed by ``()``.

    Returns:
        None, bool, int, Decimal, str, list or dict.

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
    except _ERRORS as error:
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
            return {to_string(template(k, lookup)): evaluate(v, lookup) for k, v in value.items()}
        case _:
            return value


def template(source: str, lookup: Lookup) -> Any:
    """Evaluate text with ``${...}`` in it, as JSON strings have it.

    Args:
        source: Text in which backslashes mean nothing.
        lookup: The names.

    Returns:
        A string, or the value itself if the text is one interpolation and nothing else.

    Raises:
        DataError: It makes no sense.
    """
    try:
        return render(raw(source), lookup, evaluate)
    except _ERRORS as error:
        what = f"bake file: cannot evaluate {source[:80]}"
        raise DataError(what, str(error)) from error


def _only(node: Tree[Any], lookup: Lookup) -> Any:
    return evaluate(trees(node)[0], lookup)


def _literal(node: Tree[Any], _lookup: Lookup) -> Any:
    return {"true": True, "false": False, "null": None}[text(node)]


def _name(node: Tree[Any], lookup: Lookup) -> Any:
    try:
        return lookup(text(node))
    except KeyError:
        what = f"bake file: unknown variable {text(node)}"
        raise DataError(what) from None


def _string(node: Tree[Any], lookup: Lookup) -> Any:
    return render(quoted(node), lookup, evaluate)


def _escaped(node: Tree[Any], _lookup: Lookup) -> str:
    # a quoted string inside a template of a quoted string
    return re.sub(r"\\(.)", r"\1", "".join(str(c) for c in node.children))[1:-1]


def _heredoc(node: Tree[Any], lookup: Lookup) -> Any:
    lines = text(node).split("\n")
    while not lines[-1].strip():  # the newline that ends the closing marker
        lines.pop()
    body = lines[1:-1]
    if node.data == "heredoc_template_trim":
        # HCL counts white space, and the closing marker with the lines
        depth = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
        body = [line[depth:] for line in body]
    return render(raw("\n".join([*body, ""])), lookup, evaluate) if body else ""


def _tuple(node: Tree[Any], lookup: Lookup) -> list[Any]:
    return [evaluate(c, lookup) for c in trees(node)]


def _object(node: Tree[Any], lookup: Lookup) -> dict[str, Any]:
    return {_key(trees(e)[0], lookup): evaluate(trees(e)[1], lookup) for e in trees(node)}


def _key(node: Tree[Any], lookup: Lookup) -> str:
    inner = node.children[0]
    while isinstance(inner, Tree) and inner.data == "expr_term" and len(inner.children) == 1:
        inner = inner.children[0]
    if isinstance(inner, Tree) and inner.data in {"identifier", "keyword", "literal_value"}:
        return text(inner)
    return to_string(evaluate(inner, lookup))


def _conditional(node: Tree[Any], lookup: Lookup) -> Any:
    test, yes, no = trees(node)
    holds = to_bool(evaluate(test, lookup))
    chosen = evaluate(yes if holds else no, lookup)
    try:
        other = evaluate(no if holds else yes, lookup)
    except DataError:  # HCL asks the branch not taken for its type only
        return chosen
    return unified([chosen, other])[0]


def _unary(node: Tree[Any], lookup: Lookup) -> Any:
    value = _only(node, lookup)
    return not to_bool(value) if text(node.children[0]) == "!" else -to_number(value)


def _binary(node: Tree[Any], lookup: Lookup) -> Any:
    left, term = trees(node)
    sign, right = text(trees(term)[0]), trees(term)[1]
    a = evaluate(left, lookup)
    if sign in {"&&", "||"}:
        return to_bool(a) if to_bool(a) is (sign == "||") else to_bool(evaluate(right, lookup))
    b = evaluate(right, lookup)
    if sign in {"==", "!="}:
        return same(a, b) is (sign == "==")
    return _ARITHMETIC[sign](to_number(a), to_number(b))


def _call(node: Tree[Any], lookup: Lookup) -> Any:
    name = text(trees(node)[0])
    given = next((c for c in trees(node) if c.data == "arguments"), None)
    nodes = trees(given) if given is not None else []
    if name in {"try", "can"}:
        return _attempt(name, nodes, lookup)
    if name == "convert":
        value, to = nodes
        return convert(evaluate(value, lookup), constraint(to, lookup))
    try:
        function = lookup(f"{name}()")
    except KeyError:
        what = f"bake file: unknown function {name}"
        raise DataError(what) from None
    values = [evaluate(n, lookup) for n in nodes]
    if given is not None and any(str(c) == "..." for c in given.children if isinstance(c, Token)):
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


def _keyed(base: Any, key: Any) -> Any:
    if isinstance(base, Mapping):
        return base[to_string(key)]
    at = to_number(key)
    if isinstance(base, SetValue) or not isinstance(base, list) or not isinstance(at, int):
        msg = f"no element {key}"
        raise TypeError(msg)
    if not 0 <= at < len(base):
        msg = f"the index {at} is beyond the end"
        raise LookupError(msg)
    return base[at]


def _index(node: Tree[Any], lookup: Lookup) -> Any:
    value, index = trees(node)
    base = evaluate(value, lookup)
    key = int(text(index.children[1])) if index.data == "short_index" else _only(index, lookup)
    return _keyed(base, key)


def _attr(node: Tree[Any], lookup: Lookup) -> Any:
    value, attr = trees(node)
    return _member(evaluate(value, lookup), text(trees(attr)[0]))


def _member(base: Any, name: str) -> Any:
    if not isinstance(base, Mapping):
        msg = f"{name} is asked of what has no attributes"
        raise TypeError(msg)
    return base[name]


def _splat(node: Tree[Any], lookup: Lookup) -> list[Any]:
    value, splat = trees(node)
    items = evaluate(value, lookup)
    items = items if isinstance(items, list) else [] if items is None else [items]
    for step in trees(splat):
        inner = trees(step)[0] if trees(step) else None
        if step.data == "get_attr" and inner is not None:
            items = [_member(i, text(inner)) for i in items]
        else:
            key = int(text(step.children[1])) if step.data == "short_index" else _only(step, lookup)
            items = [_keyed(i, key) for i in items]
    return list(items)


def _for(node: Tree[Any], lookup: Lookup) -> Any:
    intro, *results = [c for c in trees(node) if c.data != "for_cond"]
    condition = next((c for c in trees(node) if c.data == "for_cond"), None)
    *names, source = trees(intro)
    rows = []
    for bound in bindings([text(n) for n in names], evaluate(source, lookup)):
        inner = within(lookup, bound)
        if condition is None or to_bool(_only(condition, inner)):
            rows.append([evaluate(r, inner) for r in results])
    if node.data == "for_tuple_expr":
        return [row[0] for row in rows]
    grouped: dict[str, list[Any]] = {}
    for key, value in rows:
        grouped.setdefault(to_string(key), []).append(value)
    if any(str(c) == "..." for c in node.children if isinstance(c, Token)):
        return grouped
    if twice := [key for key, values in grouped.items() if len(values) > 1]:
        msg = f"two different items produced the key {twice[0]!r}"
        raise ValueError(msg)
    return {key: values[0] for key, values in grouped.items()}


_PRIMITIVES: dict[str, TypeKind] = {"string": "string", "number": "number", "bool": "bool", "any": "any"}


def constraint(node: Any, lookup: Lookup) -> Type:
    """A type constraint: `string`, `list(number)`, `object({a = string})`.

    Raises:
        DataError: It is none.
    """
    inner = node
    while isinstance(inner, Tree) and inner.data == "expr_term" and len(trees(inner)) == 1:
        inner = trees(inner)[0]
    if isinstance(inner, Tree) and inner.data == "identifier" and text(inner) in _PRIMITIVES:
        return Type(_PRIMITIVES[text(inner)])
    if isinstance(inner, Tree) and inner.data == "function_call":
        name, given = text(trees(inner)[0]), [c for c in trees(inner) if c.data == "arguments"]
        arguments = trees(given[0]) if given else []
        if len(arguments) == 1:
            return _compound(name, arguments[0], lookup)
    what = f"bake file: {text(node)} is not a type"
    raise DataError(what, fix="write string, number, bool, list(string), map(number), object({a = string}) …")


def _compound(name: str, argument: Tree[Any], lookup: Lookup) -> Type:
    inner = argument
    while inner.data == "expr_term" and len(trees(inner)) == 1:
        inner = trees(inner)[0]
    match name:
        case "list" | "set" | "map":
            return Type(name, constraint(argument, lookup))
        case "tuple" if inner.data == "tuple":
            return Type("tuple", members=tuple(("", constraint(c, lookup)) for c in trees(inner)))
        case "object" if inner.data == "object":
            members = [(_key(trees(e)[0], lookup), constraint(trees(e)[1], lookup)) for e in trees(inner)]
            return Type("object", members=tuple(members))
    what = f"bake file: {name}({text(argument)}) is not a type"
    raise DataError(what)


_RULES: dict[str, Callable[[Tree[Any], Lookup], Any]] = {
    "expr_term": _only,
    "interpolation": _only,
    "literal_value": _literal,
    "identifier": _name,
    "int_lit": lambda node, _: int(text(node)),
    "float_lit": lambda node, _: whole(Decimal(text(node))),
    "string": _string,
    "template_string": _escaped,
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
