"""agent.jar from a controller that answers late, wrongly, or half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.agent import jar as agentjar
from podman_agent.errors import MismatchError, TransientError, UnavailableError, VolumeError
from podman_agent.registry import retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def waits() -> Iterator[Any]:
    with retry.testing() as waited:
        yield waited


@pytest.fixture
def fetch(controller: Any, tmp_path: Path) -> Any:
    def run(**changes: Any) -> Any:
        settings = {"url": controller.url, "directory": tmp_path / "work"} | changes
        return agentjar.fetch(settings.pop("url"), settings.pop("directory"), **settings)

    return run


def test_jar_comes_from_below_the_controllers_own_path(controller: Any, fetch: Any) -> None:
    assert fetch().read_bytes() == controller.jar
    assert controller.requests == [("/jenkins/jnlpJars/agent.jar", None)]


def test_second_start_sends_the_etag_and_keeps_the_jar(controller: Any, fetch: Any) -> None:
    first = fetch()
    before = first.stat().st_mtime_ns
    assert fetch().stat().st_mtime_ns == before
    assert controller.requests[1][1] == '"v1"'


def test_new_controller_version_replaces_the_jar(controller: Any, fetch: Any) -> None:
    fetch()
    controller.etag = '"v2"'
    assert fetch().read_bytes() == controller.jar
    assert len(controller.requests) == 2


@pytest.mark.parametrize("damage", ["jar", "note", "note-missing"])
def test_damaged_cache_is_fetched_anew(controller: Any, fetch: Any, damage: str) -> None:
    jar = fetch()
    note = jar.with_name("agent.jar.json")
    match damage:
        case "jar":
            jar.write_bytes(controller.jar[:100])
        case "note":
            note.write_text("{")
        case _:
            note.unlink()
    assert fetch().read_bytes() == controller.jar
    assert controller.requests[1][1] is None


@pytest.mark.parametrize(
    "faults",
    [[503], [503, 503, 503], [429], [500, 502, 504], ["cut"], ["short"], ["drop"], ["drop", 503, "cut"]],
    ids=str,
)
def test_what_another_attempt_betters_is_tried_again_with_one_line_each(
    controller: Any, fetch: Any, waits: Any, faults: Any
) -> None:
    controller.faults = list(faults)
    lines: list[str] = []
    assert fetch(log=lines.append).read_bytes() == controller.jar
    assert len(lines) == len(waits) == len(faults)


def test_slow_controller_is_waited_for(controller: Any, fetch: Any, waits: Any) -> None:
    controller.faults = ["slow"]
    assert fetch().read_bytes() == controller.jar
    assert waits == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusal_is_final_and_names_the_url(controller: Any, fetch: Any, waits: Any, status: int) -> None:
    controller.faults = [status]
    with pytest.raises(UnavailableError, match=rf"/jenkins/jnlpJars/agent\.jar.*{status}"):
        fetch()
    assert waits == []


def test_login_page_is_no_jar_and_is_not_tried_again(controller: Any, fetch: Any, waits: Any, tmp_path: Path) -> None:
    controller.faults = ["html"]
    with pytest.raises(MismatchError, match="is not a jar"):
        fetch()
    assert waits == []
    assert not (tmp_path / "work").exists()


def test_jar_that_is_always_cut_short_is_given_up_and_leaves_nothing(
    controller: Any, fetch: Any, waits: Any, tmp_path: Path
) -> None:
    controller.faults = ["short"] * agentjar.PATIENCE.attempts
    with pytest.raises(TransientError, match="is not a jar"):
        fetch()
    assert len(waits) == agentjar.PATIENCE.attempts - 1
    assert not (tmp_path / "work").exists()


def test_controller_that_never_answers_is_a_transient_error(fetch: Any, waits: Any) -> None:
    with pytest.raises(TransientError, match="jnlpJars"):
        fetch(url="http://127.0.0.1:9/")
    assert len(waits) == agentjar.PATIENCE.attempts - 1


def test_url_that_is_none_is_not_tried_again(fetch: Any, waits: Any) -> None:
    with pytest.raises(UnavailableError):
        fetch(url="jenkins.example.com")
    assert waits == []


def test_directory_that_cannot_be_made_is_named(fetch: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VolumeError, match=r"cannot keep agent\.jar"):
        fetch(directory=tmp_path / "file/below")


def test_whole_jar_passes_the_check_and_a_damaged_one_does_not(agent_jar: Any, tmp_path: Path) -> None:
    agentjar.check(agent_jar, "it")
    data = bytearray(agent_jar.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "agent.jar"
    damaged.write_bytes(data)
    with pytest.raises(MismatchError):
        agentjar.check(damaged, "it")
