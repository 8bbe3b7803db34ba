"""What is laid into a root file system for a step without mounts, and that all of it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.nonamespace.filesystem import Overlay

if TYPE_CHECKING:
    from pathlib import Path


def bind(source: Path, destination: str, *options: str) -> dict[str, object]:
    return {"type": "bind", "source": str(source), "destination": destination, "options": list(options)}


def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "dev").mkdir()
    (root / "etc/hosts").write_text("image's own")
    return root


def test_everything_laid_in_is_taken_back(tmp_path: Path) -> None:
    """A secret must not reach a layer, and what the image had must come back."""
    root = rootfs(tmp_path)
    secret, hosts = tmp_path / "secret", tmp_path / "hosts"
    secret.write_text("sesame")
    hosts.write_text("pod's")
    overlay = Overlay(root, tmp_path / "undo")
    overlay.apply(
        [bind(secret, "/run/secrets/s", "ro"), bind(hosts, "/etc/hosts"), {"type": "proc", "destination": "/proc"}]
    )
    assert (root / "run/secrets/s").read_text() == "sesame"
    assert (root / "etc/hosts").read_text() == "pod's"
    Overlay(root, tmp_path / "undo").revert()
    assert not (root / "run").exists()
    assert (root / "etc/hosts").read_text() == "image's own"
    assert list((root / "dev").iterdir()) == []


def test_what_the_step_wrote_beside_it_stays(tmp_path: Path) -> None:
    """A directory made for a bound file may have become the step's own."""
    root = rootfs(tmp_path)
    source = tmp_path / "file"
    source.write_text("bound")
    overlay = Overlay(root, tmp_path / "undo")
    overlay.apply([bind(source, "/opt/a/bound")])
    (root / "opt/a/mine").write_text("mine")
    overlay.revert()
    assert [path.name for path in (root / "opt/a").iterdir()] == ["mine"]


def test_a_writable_directory_is_copied_back(tmp_path: Path) -> None:
    """The cache of `RUN --mount=type=cache`."""
    root, cache = rootfs(tmp_path), tmp_path / "cache"
    cache.mkdir()
    overlay = Overlay(root, tmp_path / "undo")
    overlay.apply([bind(cache, "/c", "rw")])
    (root / "c/new").write_text("new")
    overlay.revert()
    assert (cache / "new").read_text() == "new"
    assert not (root / "c").exists()


def test_a_link_of_the_image_does_not_lead_out_of_it(tmp_path: Path) -> None:
    """An absolute link is the image's, not the pod's."""
    root, source = rootfs(tmp_path), tmp_path / "file"
    source.write_text("bound")
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    overlay = Overlay(root, tmp_path / "undo")
    overlay.apply([bind(source, "/var/run/../../../x/file")])
    assert (root / "x/file").exists()
    overlay.revert()
    assert not (root / "x").exists()
