"""Several targets in one run, with a podman that only writes down its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from podman_agent.engine.engine import Engine

from podman_agent.bake import Source, parse
from podman_agent.builds.run import ImageBuild, Settings
from podman_agent.engine.results import BuildResult


def test_targets_are_built_after_those_they_need_and_caches_are_podmans() -> None:
    calls = []

    class Recorder:
        redact = staticmethod(str)

        def build(self, options: Any) -> Any:
            calls.append(options)
            return BuildResult(f"sha256:{len(calls)}", options.tags, 0, 1)

    text = (
        """
    target "a" { contexts = { b = "target:b" } tags = ["r.example/a:1"]
      cache-from = ["type=registry,ref=r.example/cache:tag", "type=gha"]  dockerfile-inline = "FROM b" }
    target "b" { context = "dir"  labels = { x = "own" } }
    """.replace("} tags", "}\n tags")
        .replace('"]  docker', '"]\n docker')
        .replace('"dir"  labels', '"dir"\n labels')
    )
    bake = parse([Source("x.hcl", text)], {})
    said: list[Any] = []
    settings = Settings(cache="r.example/all", labels={"x": "1", "y": "2"}, tags=("v",), jobs=4)
    outcomes = ImageBuild(cast("Engine", Recorder()), settings, said.append).run(bake.order(["a"]), ["a"])
    assert [o.status for o in outcomes] == ["ok", "ok"]
    first, second = calls
    assert (first.context, dict(first.labels)) == ("dir", {"x": "own", "y": "2"})
    assert second.contexts == {"b": "container-image://sha256:1"}
    assert second.tags == ("r.example/a:1", "r.example/a:v")
    assert second.cache_from == ("r.example/all", "r.example/cache")
    assert any("gha is buildkit's own: ignored" in e.text for e in said)
