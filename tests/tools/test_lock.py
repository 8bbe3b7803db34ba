"""The lock that the image is made from fits pyproject.toml."""

from __future__ import annotations

import re

import lock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LINES = lock.LOCK.read_text().replace("\\\n", "").splitlines()


def test_the_lock_is_made_from_the_requirements_of_today() -> None:
    assert LINES[0] == lock.header(), "make lock"


def test_every_requirement_is_locked_within_its_range_and_has_hashes() -> None:
    locked = [re.split("==| ", line)[:2] for line in LINES[1:] if line]
    versions = {canonicalize_name(name): version for name, version in locked}
    for requirement in map(Requirement, lock.wanted()):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}( |$)", line) for line in LINES[1:])


def test_no_place_is_named_where_packages_come_from() -> None:
    assert "://" not in lock.LOCK.read_text()
