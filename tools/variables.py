"""Write the table of `PODMAN_AGENT_*` variables into the page that has its marks.

    python3 tools/variables.py

The page is the one below docs/, or the README, with `<!-- generated: variables -->` … `<!-- end of generated -->`.
Standard library only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "pylib"))

from podman_agent.pod.variables import TABLE, Defaulted, Variable  # noqa: E402 - the tree this file is in

BEGIN, END = "<!-- generated: variables -->\n", "<!-- end of generated -->"


def table() -> str:
    """The table: what each variable sets, its values, and what holds without it."""
    rows = ["| variable | sets | values | without it |", "|---|---|---|---|"]
    for variable in TABLE:
        values = ", ".join(f"`{value}`" for value in variable.values) or variable.form
        rows.append(f"| `{variable.full_name}` | {variable.sets} | {values} | {_without(variable)} |")
    return "\n".join(rows) + "\n"


def _without(variable: Variable[Any]) -> str:
    if variable.without:
        return variable.without
    if isinstance(variable, Defaulted):
        return f"{variable.default:g}" if isinstance(variable.default, float) else str(variable.default)
    return "as the plan decides" if variable.values else ""


def page() -> Path:
    """The one page with the marks.

    Raises:
        ValueError: There is none, or more than one.
    """
    (found,) = [path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if BEGIN in path.read_text()]
    return found


def main() -> None:
    """Write it."""
    before, mark, rest = page().read_text().partition(BEGIN)
    page().write_text(before + mark + table() + rest[rest.index(END) :])


if __name__ == "__main__":
    main()
