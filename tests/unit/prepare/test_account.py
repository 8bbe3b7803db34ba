"""An arbitrary uid gets one line, and nobody else's is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from podman_agent.prepare.account import give_a_name

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "root:x:0:0:root:/root:/bin/bash\n"
OURS = "default:x:1000650000:0:Jenkins agent:/home/jenkins:/bin/bash\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ROOT, ROOT + OURS),
        (ROOT.rstrip("\n"), ROOT + OURS),
        ("", OURS),
        (ROOT + "me:x:1000650000:0::/:/bin/sh\n", None),
        (ROOT + "default:x:7:7::/:/bin/sh\n", None),
        ("odd\n\n::\n", "odd\n\n::\n" + OURS),
    ],
)
def test_one_line_is_added_where_none_is(tmp_path: Path, before: str, after: str | None) -> None:
    passwd = tmp_path / "passwd"
    passwd.write_text(before)
    assert give_a_name(1000650000, 0, "/home/jenkins", passwd) is (after is not None)
    assert passwd.read_text() == (before if after is None else after)
    assert not give_a_name(1000650000, 0, "/home/jenkins", passwd)


def test_a_link_and_a_file_that_is_not_there_are_left_alone(tmp_path: Path) -> None:
    target, passwd = tmp_path / "target", tmp_path / "passwd"
    target.write_text(ROOT)
    passwd.symlink_to(target)
    assert not give_a_name(5, 5, "/", passwd)
    assert not give_a_name(5, 5, "/", tmp_path / "none")
    assert target.read_text() == ROOT
