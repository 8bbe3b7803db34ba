"""Every kind of damage to a layer or an image is found and named."""

from __future__ import annotations

import errno
import json
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest
from podman_agent.store.content import Content
from podman_agent.store.verify import _check_member, verify
from store.fabricate import Fabric, small

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    return small(tmp_path / "storage")


def diff(fabric: Fabric) -> Path:
    return fabric.root / "overlay" / str(fabric.layers[0]["id"]) / "diff"


def test_a_sound_store_is_proved_whole(fabric: Fabric) -> None:
    report = verify(fabric.root)
    assert (report.layers, report.images, report.damage, report.unproven) == (2, 2, [], [])


def _flip_a_byte(fabric: Fabric) -> None:
    data = bytearray((diff(fabric) / "big").read_bytes())
    data[60000] ^= 1
    (diff(fabric) / "big").write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[Fabric], object], str]] = {
    "a flipped byte": (_flip_a_byte, "its digest is not"),
    "a missing file": (lambda f: (diff(f) / "big").unlink(), "No such file"),
    "a truncated file": (lambda f: (diff(f) / "big").write_bytes(b"short"), "size is not 70000"),
    "a longer file": (lambda f: (diff(f) / "big").write_bytes(bytes(70001)), "size is not 70000"),
    "a changed mode": (lambda f: (diff(f) / "big").chmod(0o755), "type, mode or target"),
    "a file of nobody": (lambda f: (diff(f) / "extra").write_text(""), "extra: not in the layer"),
    "an emptied link": (lambda f: (diff(f).parent / "link").write_text(""), "link: empty"),
    "a whiteout of nobody": (lambda f: os.mknod(diff(f) / "hidden", stat.S_IFCHR, 0), "hidden: not in the layer"),
    "a torn tar-split": (
        lambda f: (f.root / f"overlay-layers/{f.layers[0]['id']}.tar-split.gz").write_bytes(b"\x1f\x8b"),
        "tar-split is torn",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_to_a_layer_is_named_with_the_images_that_have_it(fabric: Fabric, what: str) -> None:
    spoil, why = DAMAGE[what]
    spoil(fabric)
    damage = verify(fabric.root).damage[0]
    assert (damage.kind, damage.id) == ("layer", fabric.layers[0]["id"])
    assert why in damage.why
    assert set(damage.images) == {"docker.io/library/base:latest", "localhost/app:latest"}


def test_a_changed_configuration_is_damage_of_the_image(fabric: Fabric) -> None:
    image = fabric.images[1]
    [config] = (fabric.root / "overlay-images" / image["id"]).glob("=*")
    config.write_text(config.read_text().replace("app", "apq"))
    [damage] = verify(fabric.root).damage
    assert (damage.kind, damage.images) == ("image", ("localhost/app:latest",))


def test_an_image_on_the_wrong_layers_is_damage(fabric: Fabric) -> None:
    fabric.images[1]["layer"] = fabric.layers[0]["id"]
    fabric.save()
    [damage] = verify(fabric.root).damage
    assert damage.why == "its layers are not those of its configuration"


def test_a_layer_without_digest_is_unproven_and_not_called_sound(fabric: Fabric) -> None:
    del fabric.layers[1]["diff-digest"]
    fabric.save()
    assert [u.why for u in verify(fabric.root).unproven] == ["no digest on record"]


def test_torn_records_are_damage(fabric: Fabric) -> None:
    (fabric.root / "overlay-images/images.json").write_text("[")
    assert [d.kind for d in verify(fabric.root).damage] == ["store"]


def test_a_report_is_json(fabric: Fabric) -> None:
    assert json.loads(json.dumps(verify(fabric.root).as_json()))["images"] == 2


def test_an_emptied_lower_is_damage(fabric: Fabric) -> None:
    (fabric.root / "overlay" / fabric.layers[1]["id"] / "lower").write_text("")
    assert [d.why for d in verify(fabric.root).damage] == ["lower: does not name the layers below"]


def test_a_file_that_cannot_be_read_is_damage(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(*_: object) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "big")

    monkeypatch.setattr("podman_agent.store.verify._Rebuilt.read", torn)
    assert {d.why for d in verify(fabric.root).damage} == {"big cannot be read: Input/output error"}


def test_an_image_removed_meanwhile_is_not_damage(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> str:
        (fabric.root / "overlay-images/images.json").write_text("[]")
        return "manifest: No such file or directory"

    monkeypatch.setattr("podman_agent.store.verify.check_image", gone)
    assert verify(fabric.root).damage == []


def test_a_hard_link_replaced_by_another_file_is_damage(fabric: Fabric) -> None:
    content, layer = Content.read(fabric.root, "overlay"), fabric.layers[0]["id"]
    member = tarfile.TarInfo("second")
    member.type, member.linkname = tarfile.LNKTYPE, "big"
    (diff(fabric) / "second").hardlink_to(diff(fabric) / "big")
    assert _check_member(content, layer, "second", member) == ""
    (diff(fabric) / "second").unlink()
    (diff(fabric) / "second").write_bytes(bytes(70000))
    assert "type, mode or target" in _check_member(content, layer, "second", member)
