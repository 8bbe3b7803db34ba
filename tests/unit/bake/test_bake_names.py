"""Names on bake's command line."""

from __future__ import annotations

import pytest
from podman_agent.bake import Source, parse
from podman_agent.errors import DataError


def test_a_bake_file_without_the_target_names_those_there_are() -> None:
    with pytest.raises(DataError, match="failed to find target x; there are: a"):
        parse([Source("x.hcl", 'target "a" {}')], {}).order(["x"])
