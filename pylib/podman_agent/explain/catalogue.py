"""The well-known error texts: each with what it means in a pod, and what to change."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from podman_agent.explain import clients, limits, pods, stores, transfers

if TYPE_CHECKING:
    from podman_agent.explain.explanation import Explanation

_ROOMS = (stores, pods, limits, clients, transfers)
_HEAD = """\
# Error texts

What podman, crun, buildah or a kubelet say in a pod, what it means there, and what to change. `docker` and `podman` in
the agent say it themselves below an error, `podman-agent explain < LOG` finds it in any log. This page is printed by
`python -m podman_agent.explain.catalogue`.
"""
RULES = tuple(rule for room in _ROOMS for rule in room.RULES)


def page() -> str:
    """Give all of them as Markdown: a heading per text, below it cause, cure and where that is documented."""
    return "\n".join([_HEAD, *(_chapter(room.HEADING, room.RULES) for room in _ROOMS)])


def _chapter(heading: str, rules: tuple[Explanation, ...]) -> str:
    found = [f"## {heading}\n"]
    for rule in rules:
        told = f"{rule.cause[0].upper()}{rule.cause[1:]}. **Change:** {rule.cure}. ([source]({rule.source}))"
        found.append(f"### {_code(rule.text)}\n\n{_filled(told)}\n")
    return "\n".join(found)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(page(), end="")
