"""Objects as docker spells them."""

from __future__ import annotations

from podman_agent.docker import inspect


def test_objects_are_spelt_as_docker_spells_them() -> None:
    number = "ab" * 32
    image = inspect.docker_object({"Id": number, "Parent": "", "RepoTags": ["localhost/a:1", "docker.io/library/b:1"]})
    assert (image["Id"], image["Parent"], image["RepoTags"]) == (f"sha256:{number}", "", ["a:1", "b:1"])
    found = inspect.docker_object(
        {"Id": number, "Image": number, "Name": "c", "State": {"Status": "stopped", "Health": {}}}
    )
    assert (found["Id"], found["Image"], found["Name"]) == (number, f"sha256:{number}", "/c")
    assert found["State"] == {"Status": "exited"}


def test_a_container_keeps_the_image_as_it_was_typed() -> None:
    create = ["podman", "run", "-d", "busybox", "sh"]
    assert inspect.as_typed({"Image": "docker.io/library/busybox:latest", "CreateCommand": create}) == "busybox"
    assert inspect.as_typed({"Image": "localhost/app:1"}) == "app:1"
    assert inspect.as_typed({"Image": "localhost/app:1", "CreateCommand": ["podman", "run", "app:1"]}) == "app:1"
