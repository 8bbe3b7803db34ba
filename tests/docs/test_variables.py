"""The documentation's table of variables is made of the table in the code."""

from __future__ import annotations

import variables


def test_its_table_is_the_codes() -> None:
    """`python3 tools/variables.py` writes it; a value that is added, lost or misspelt changes it."""
    written = variables.page().read_text().partition(variables.BEGIN)[2].partition(variables.END)[0]
    assert written == variables.table()
