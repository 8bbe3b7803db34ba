"""Inodes run out before bytes do: a volume of small files is full with half of it free."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from podman_agent.explain import diskfull
from podman_agent.prepare import state
from podman_agent.store.space import Space, space

LOOK = """
import sys
from pathlib import Path
from podman_agent.store.space import space
found = space(Path(sys.argv[1]))
print(found.low, found.inodes_low, found.text)
"""
PYLIB = Path(__file__).parents[2] / "pylib"


def test_a_file_system_without_inodes_is_low_and_says_of_what(tmp_path: Path) -> None:
    script = (
        f"mount -t tmpfs -o size=64m,nr_inodes=100 none {tmp_path}\n"
        f"look() {{ PYTHONPATH={PYLIB} {sys.executable} -c '{LOOK}' {tmp_path}; }}\n"
        f"look; touch {tmp_path}/f{{1..97}}; look"
    )
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-ec", script], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = done.stdout.splitlines()
    assert before.startswith("False False ")
    assert "inodes" not in before
    assert after.startswith("True True ")
    assert after.endswith(", 2 of 100 inodes free")


@pytest.mark.parametrize("there", ["/proc/self/nothing/here", "/"])
def test_what_is_not_there_yet_is_on_the_file_system_it_will_be_on(there: str) -> None:
    assert space(Path(there)).total >= 0


FULL = "Error: writing blob: write /x: no space left on device"
QUOTA = "Error: writing blob: write /x: disk quota exceeded"


@pytest.mark.parametrize(
    ("room", "said", "words"),
    [
        (Space(10**11, 5 * 10**10, 1000, 1), FULL, "out of inodes: 50.0 GB of 100.0 GB free, 1 of 1000 inodes free"),
        (Space(10**11, 5 * 10**10, 1000, 900), QUOTA, "a quota of the file system is used up"),
        (Space(10**11, 0, 1000, 900), QUOTA, "is full: 0 B of 100.0 GB free now; podman-agent gc"),
        (Space(10**11, 0, 0, 0), FULL, "is full: 0 B of 100.0 GB free now; podman-agent gc"),
    ],
)
def test_the_advice_names_what_has_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Space, said: str, words: str
) -> None:
    facts = {"volume": str(tmp_path), "graphroot": str(tmp_path / "storage"), "volume_mounted": True}
    monkeypatch.setattr(state, "stored", lambda _: json.dumps(facts))
    monkeypatch.setattr(diskfull, "space", lambda _: room)
    assert words in diskfull.advice(said, sure=True)


def test_a_step_that_prints_these_words_is_not_believed_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"volume": str(tmp_path), "graphroot": str(tmp_path), "volume_mounted": True}
    monkeypatch.setattr(state, "stored", lambda _: json.dumps(facts))
    monkeypatch.setattr(diskfull, "space", lambda _: Space(10**11, 5 * 10**10, 1000, 900))
    assert not diskfull.advice(FULL, sure=False)
    monkeypatch.setattr(diskfull, "space", lambda _: Space(10**11, 5 * 10**10, 1000, 1))
    assert "out of inodes" in diskfull.advice(FULL, sure=False)
