"""Which digests of an image a registry is known to have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from podman_agent.docker import digests
from podman_agent.docker.digests import TAGGED, Digests, Image
from podman_agent.store.content import big_data_name

if TYPE_CHECKING:
    from pathlib import Path

ID, A, B = "1" * 64, "sha256:" + "a" * 64, "sha256:" + "b" * 64
APP, HUB = "r.example/app", "docker.io/library/busybox"


@pytest.mark.parametrize(
    ("image", "recorded", "wanted"),
    [
        (Image(ID, (f"{APP}:1",)), [], []),
        (Image(ID, (f"{APP}:1",)), [(APP, A)], [f"{APP}@{A}"]),
        (Image(ID, (f"{APP}:1", "s.example/b:1")), [("s.example/b", B), (APP, A)], [f"{APP}@{A}", f"s.example/b@{B}"]),
        (Image(ID, ("localhost/team/app:1",)), [("docker.io/team/app", A)], [f"docker.io/team/app@{A}"]),
        # the last name of that repository is gone, as after `docker rmi`
        (Image(ID, (f"{APP}:1",)), [("s.example/b", B)], []),
        # pulled: docker keeps the digest of the list
        (Image(ID, (f"{HUB}:1",), (), (A,)), [], [f"{HUB}@{A}"]),
        (Image(ID, (f"{HUB}:1",), (B,), (A,)), [], [f"{HUB}@{B}"]),
        (Image(ID, (f"{HUB}:1", "localhost/b:1"), (), (A,)), [], [f"{HUB}@{A}"]),
        (Image(ID, (f"{HUB}:1", f"{APP}:1"), (), (A,)), [(APP, TAGGED)], [f"{HUB}@{A}"]),
        (Image(ID, (f"{HUB}:1", f"{APP}:1"), (), (A,)), [(APP, TAGGED), (APP, B)], [f"{HUB}@{A}", f"{APP}@{B}"]),
        # two names, of which nothing is known
        (Image(ID, (f"{HUB}:1", f"{APP}:1"), (), (A,)), [], []),
        # built as one, pushed and pulled again as the other
        (Image(ID, (f"{APP}:1", "s.example/b:1"), (), (B,)), [("s.example/b", B)], [f"s.example/b@{B}"]),
    ],
)
def test_a_digest_is_of_the_repository_it_was_pushed_to_or_pulled_from(
    image: Image, recorded: list[tuple[str, str]], wanted: list[str]
) -> None:
    assert digests.repo_digests(image, recorded) == wanted


def store(root: Path, layer: str, plain: str) -> Digests:
    """A store with one image of one layer, whose manifest and configuration name that layer so."""
    home = root / "overlay-images" / ID
    home.mkdir(parents=True)
    config = f"sha256:{ID}"
    (home / big_data_name(config)).write_text(json.dumps({"rootfs": {"diff_ids": [plain]}}))
    manifest = json.dumps({"config": {"digest": config}, "layers": [{"digest": layer}]})
    (home / big_data_name(f"manifest-{A}")).write_text(manifest)
    record = {"id": ID, "names": [f"{APP}:1"], "big-data-names": [config, f"manifest-{A}", "manifest"]}
    (root / "overlay-images/images.json").write_text(json.dumps([record]))
    return Digests(root)


def test_a_manifest_whose_layers_are_not_compressed_is_podmans_own(tmp_path: Path) -> None:
    assert store(tmp_path / "built", B, B).all() == {ID: []}
    assert store(tmp_path / "pulled", A, B).all() == {ID: [f"{APP}@{A}"]}


def test_a_push_is_known_in_later_pods_of_the_store(tmp_path: Path) -> None:
    own = store(tmp_path, B, B)
    own.record(ID, APP, A)
    own.record(ID, APP, A)
    assert (tmp_path / digests.RECORD).read_text() == f"{ID} {APP} {A}\n"
    assert Digests(tmp_path).all() == {ID: [f"{APP}@{A}"]}


def test_the_record_is_bounded_and_keeps_what_is_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LIMIT", 1000)
    own = Digests(tmp_path)
    for number in range(30):
        own.record(f"{number:064d}", APP, A)
    assert (tmp_path / digests.RECORD).stat().st_size < 1300
    assert f"{29:064d}" in own.recorded()
    assert f"{0:064d}" not in own.recorded()


def test_a_link_on_the_volume_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / digests.RECORD).symlink_to(tmp_path / "secret")
    Digests(tmp_path).record(ID, APP, A)
    assert (tmp_path / "secret").read_text() == ""
    assert Digests(tmp_path).recorded() == {}
