"""The parts of a volume: what a pod mounts is all there is for it, and only garbage collection sees all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podman_agent import cli
from podman_agent.errors import ConfigError
from podman_agent.store import border, claim, gc, layout, parts
from podman_agent.store.beneath import Root
from podman_agent.store.layout import HOME
from podman_agent.store.verify import verify
from store.fabricate import small

if TYPE_CHECKING:
    from podman_agent.store import Claim
    from store.conftest import Volume

LINE = "77 30 8:1 {root} {point} rw,relatime - ext4 /dev/vda1 rw\n"


def stocked(volume: Volume, name: str, key: str | None = None) -> Claim:
    ours = volume.pod(name, key)
    if not (ours.graphroot / "overlay-layers").exists():
        small(ours.graphroot)
    volume.kill(ours)
    return ours


@pytest.mark.parametrize(
    ("flavour", "level"),
    [
        ("root", "privileged"),
        ("root-vfs", "privileged"),
        ("userns", "userns"),
        ("rootless-0", "unprivileged"),
        ("single-1000", "unprivileged"),
        ("bare-0", "unprivileged"),
    ],
)
def test_every_flavour_has_its_level(flavour: str, level: str) -> None:
    assert border.level_of(flavour) == level


@pytest.mark.parametrize("level", border.LEVELS)
@pytest.mark.parametrize("flavour", ["root", "userns", "rootless-0"])
def test_the_part_of_another_level_is_refused(tmp_path: Path, flavour: str, level: str) -> None:
    """Both ways: what it would run, and what others would run of its."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(LINE.format(root=f"/var/lib/podman-agent/{level}/team-a", point="/var/lib/containers"))
    own = border.level_of(flavour)
    if level == own:
        border.check_mounted(Path("/var/lib/containers"), flavour, mounts)
        return
    with pytest.raises(ConfigError, match=f"subPath: {own}/team-a"):
        border.check_mounted(Path("/var/lib/containers"), flavour, mounts)


@pytest.mark.parametrize("root", ["/", "/var/lib/podman-agent", "/privileged", "/x/privileged/team-a/deeper"])
def test_a_volume_that_is_no_part_is_taken(tmp_path: Path, root: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(LINE.format(root="/userns/x", point="/elsewhere") + LINE.format(root=root, point="/volume"))
    border.check_mounted(Path("/volume"), "rootless-0", mounts)


@pytest.fixture
def divided(volume: Volume) -> Path:
    """A volume that two teams mounted whole, and what came of it."""
    stocked(volume, "a", "team-a")
    stocked(volume, "b", "team-b")
    outcomes = parts.divide(volume.root)
    assert [(o.store, o.error, o.skipped) for o in outcomes] == [("team-a/0", "", ""), ("team-b/0", "", "")]
    return volume.root


def _flavour(volume: Path) -> str:
    return next(store.state.flavour for store in layout.all_stores(volume))


def test_a_store_is_found_by_a_pod_that_mounts_its_part(volume: Volume, tmp_path: Path) -> None:
    """With its images, at the path it had in the pods before."""
    before = stocked(volume, "a", "team-a")
    level = border.level_of(_flavour(volume.root))
    parts.divide(volume.root)
    part = volume.root / level / "team-a"
    assert not (volume.root / HOME / "team-a/0").exists()
    ours = claim(part, key="team-a", env={"HOSTNAME": "new"}, legacy=part / "storage", run=tmp_path / "run-new")
    try:
        assert ours.graphroot.relative_to(part) == before.graphroot.relative_to(volume.root)
        assert verify(ours.graphroot, Root(part)).images
        assert not verify(ours.graphroot, Root(part)).damage
    finally:
        volume.kill(ours)


def test_a_part_has_nothing_of_another_teams(divided: Path) -> None:
    for part in parts.parts(divided):
        team = part.name.partition("/")[2]
        assert layout.keys(part.path) == [team]
        assert [store.name for store in layout.all_stores(part.path)] == [f"{team}/0"]


def test_the_plain_store_goes_with_the_link_to_it(volume: Volume) -> None:
    small(volume.root / "storage")
    volume.kill(volume.pod("a"))
    level = border.level_of(_flavour(volume.root))
    assert [outcome.done for outcome in parts.divide(volume.root)] == [[f"moved to {level}/default"]]
    assert not (volume.root / "storage").exists()
    [part] = parts.parts(volume.root)
    [store] = layout.all_stores(volume.root / part.name)
    assert store.adopted
    assert not verify(store.graphroot, store.root).damage


def test_a_store_in_use_stays(volume: Volume) -> None:
    volume.pod("a", "team-a")
    [outcome] = parts.divide(volume.root)
    assert outcome.skipped == "in use by a"
    assert (volume.root / HOME / "team-a/0").is_dir()
    assert list(parts.parts(volume.root)) == []


def test_a_second_store_of_the_same_number_gets_the_next(volume: Volume) -> None:
    stocked(volume, "a", "team-a")
    parts.divide(volume.root)
    stocked(volume, "b", "team-a")
    parts.divide(volume.root)
    [part] = parts.parts(volume.root)
    assert [store.name for store in layout.all_stores(volume.root / part.name)] == ["team-a/0", "team-a/1"]


def test_gc_and_cache_ls_see_the_parts(divided: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [first, _] = (divided / part.name for part in parts.parts(divided))
    orphan = first / HOME / "team-a/0/storage/overlay" / ("ab" * 32)
    orphan.mkdir()
    assert cli.main(["cache", "ls", "--json", "--volume", str(divided)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["store"].partition("/")[2] for row in rows] == ["team-a: team-a/0", "team-b: team-b/0"]
    assert all(Path(row["graphroot"]).is_dir() for row in rows)
    assert cli.main(["gc", "--json", "--volume", str(divided)]) == 0
    done = {row["store"].partition("/")[2]: row["done"] for row in json.loads(capsys.readouterr().out)}
    assert done == {"team-a: team-a/0": ["removed 1 orphan directory"], "team-b: team-b/0": []}
    assert not orphan.exists()


def test_gc_divides_when_it_is_told_to(volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    stocked(volume, "a", "team-a")
    assert cli.main(["gc", "--volume", str(volume.root)]) == 0
    assert "moved" not in capsys.readouterr().out
    assert cli.main(["gc", "--divide", "--volume", str(volume.root)]) == 0
    assert "moved to " in capsys.readouterr().out


@pytest.mark.parametrize("where", ["privileged", "privileged/team-a"])
def test_a_link_in_the_place_of_a_part_is_not_followed(volume: Volume, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    (outside / "team-a" / HOME / "team-a/0").mkdir(parents=True)
    link = volume.root / where
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside if where == "privileged" else outside / "team-a")
    assert list(parts.parts(volume.root)) == []
    gc.collect(volume.root, gc.Policy(age=0))
    assert (outside / "team-a" / HOME / "team-a/0").is_dir()


def test_parts_leave_no_descriptor_behind(divided: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    list(parts.parts(divided))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
