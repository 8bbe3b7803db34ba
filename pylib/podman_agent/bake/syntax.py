"""An HCL file as python-hcl2's tree, and the few questions asked of one."""

from __future__ import annotations

from typing import Any

import hcl2
from lark import Token, Tree
from lark.exceptions import LarkError

from podman_agent.errors import DataError

Node = Tree[Any] | Token


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
        return trees(hcl2.parses_to_tree(text if text.endswith("\n") else text + "\n"))[0]
    except LarkError as error:
        line = getattr(error, "line", "?")
        what = f"{name}:{line}"
        raise DataError(what, "not valid HCL: " + str(error).splitlines()[0]) from error


def trees(node: Tree[Any]) -> list[Tree[Any]]:
    """The children of a node that are nodes, without comments."""
    return [c for c in node.children if isinstance(c, Tree) and c.data != "new_line_or_comment"]


def attributes(body: Tree[Any]) -> dict[str, Node]:
    """Map the attribute names of a body to their expressions, not yet evaluated.

    Raises:
        DataError: A name stands twice.
    """
    found: dict[str, Node] = {}
    for node in trees(body):
        if node.data == "attribute":
            name = text(node.children[0])
            if name in found:
                what = f"bake file: {name} is set twice in one block"
                raise DataError(what)
            found[name] = node.children[2]
    return found


def blocks(body: Tree[Any]) -> list[tuple[str, list[str], Tree[Any]]]:
    """List the blocks of a body as (type, labels, body)."""
    found = []
    for node in trees(body):
        if node.data == "block":
            words = [text(c) for c in trees(node) if c.data in {"identifier", "keyword", "string"}]
            inner = next(c for c in trees(node) if c.data == "body")
            found.append((words[0], words[1:], inner))
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
