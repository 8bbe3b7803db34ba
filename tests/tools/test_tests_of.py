"""A change of one module shows which file tests it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tests_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("module", tests_of.modules(), ids=lambda module: str(module.relative_to(tests_of.PACKAGE)))
def test_every_module_has_a_file_that_tests_it(module: Path) -> None:
    assert all((tests_of.ROOT / name).is_file() for name in tests_of.tests_of(module))


def test_a_unit_test_is_named_after_a_module_or_a_part_of_one() -> None:
    """`test_decide_ids.py` is about `decide`; a file named after nothing would not be found."""
    unit = tests_of.ROOT / "tests/unit"
    lost = []
    for path in unit.rglob("test_*.py"):
        room = tests_of.PACKAGE / path.parent.relative_to(unit)
        stem = path.stem.removeprefix("test_")
        if stem.split("_")[0] != room.name and not any(
            (room / f"{'_'.join(stem.split('_')[:n])}.py").exists() for n in range(1, 9)
        ):
            lost.append(str(path.relative_to(unit)))
    assert lost == []
