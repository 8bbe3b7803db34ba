"""Bake and compose files become the targets that buildx would build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from podman_agent import bake as bakefile
from podman_agent.bake import Source
from podman_agent.errors import DataError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def bake(text: Any, suffix: Any = "hcl", env: Any = None, overrides: Any = ()) -> Any:
    return bakefile.parse([Source(f"docker-bake.{suffix}", text)], env or {}, overrides)


HCL = """
variable "TAG" { default = "latest" }
variable "PUSH" { default = false }
variable "NODES" {
  type = list(string)
  default = ["18"]
}
repo = "example.com/team"   # a global
function "tag" {
  params = [name]
  result = ["${repo}/${name}:${TAG}", notequal("", TAG) ? "${repo}/${name}:latest" : ""]
}
group "default" { targets = ["app", "node"] }
target "_common" {
  args = { GO_VERSION = "1.24", EMPTY = null }
  labels = { "org.opencontainers.image.vendor" = "us" }
  cache-from = ["type=registry,ref=${repo}/cache"]
}
target "base" { dockerfile = "base.Dockerfile" }
target "app" {
  inherits = ["_common"]
  contexts = { base = "target:base" }
  args = { COUNT = 1 + 2 * 3, PUSHED = PUSH ? "yes" : "no" }
  tags = tag("app")
  platforms = ["linux/amd64", "linux/arm64"]
  cache-to = [{ type = "registry", ref = "${repo}/cache", mode = "max" }]
  secret = [{ id = "npm", src = "npmrc" }, "id=ca,env=CA"]
  no-cache = PUSH
  dockerfile-inline = <<-EOT
    FROM base
    RUN echo $${HOME} "${upper(TAG)}" \\
        done
  EOT
}
target "node" {
  name = "node-${v}"
  matrix = { v = NODES }
  args = { V = v }
  tags = [for s in ["a", "b"] : "${s}:${v}" if s != "b"]
}
"""


def test_hcl_variables_functions_inheritance_and_heredocs() -> None:
    app = bake(HCL).targets["app"]
    assert app.args == {"GO_VERSION": "1.24", "COUNT": "7", "PUSHED": "no"}
    assert app.tags == ("example.com/team/app:latest",)
    assert app.labels == {"org.opencontainers.image.vendor": "us"}
    assert app.cache_from == ("type=registry,ref=example.com/team/cache",)
    assert app.cache_to == ("type=registry,mode=max,ref=example.com/team/cache",)
    assert app.secret == ("id=npm,src=npmrc", "id=ca,env=CA")
    assert app.platforms == ("linux/amd64", "linux/arm64")
    assert app.no_cache is False
    assert app.dockerfile_inline == 'FROM base\nRUN echo ${HOME} "LATEST" \\\n    done\n'


def test_the_environment_sets_variables_by_the_type_of_their_default() -> None:
    result = bake(HCL, env={"TAG": "v1", "PUSH": "true", "NODES": "20,22"})
    assert result.targets["app"].args["PUSHED"] == "yes"
    assert result.targets["app"].tags[0] == "example.com/team/app:v1"
    assert result.groups["node"] == ("node-20", "node-22")
    assert result.targets["node-22"].tags == ("a:22",)


def test_an_environment_value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(DataError, match="variable PUSH"):
        bake(HCL, env={"PUSH": "perhaps"})


def test_an_undeclared_environment_variable_is_unknown() -> None:
    with pytest.raises(DataError, match="unknown variable HOME"):
        bake('target "x" { tags = [HOME] }', env={"HOME": "/root"})


def test_linked_targets_come_first_and_once() -> None:
    result = bake(HCL)
    assert [t.name for t in result.order()] == ["base", "app", "node-18"]
    assert result.expand() == ("app", "node-18")
    assert [t.name for t in result.order(["node"])] == ["node-18"]


def test_a_matrix_of_two_axes_with_objects() -> None:
    result = bake(
        """
        target "app" {
          matrix = {
            tgt = ["lint", "build"]
            item = [{ v = "1", os = "deb" }, { v = "2", os = "rpm" }]
          }
          name = "app-${tgt}-${replace(item.v, ".", "-")}"
          target = tgt
          args = { OS = item.os }
        }
        """
    )
    assert list(result.targets) == ["app-lint-1", "app-build-1", "app-lint-2", "app-build-2"]
    assert result.targets["app-build-2"].args == {"OS": "rpm"}
    assert result.expand(["app"]) == tuple(result.targets)


def test_a_target_may_use_another_targets_attribute_whatever_their_order() -> None:
    result = bake('target "a" { tags = ["${target.b.tags[0]}-a"] }\ntarget "b" { tags = ["x:1"] }')
    assert result.targets["a"].tags == ("x:1-a",)


def test_json_has_the_same_templates() -> None:
    result = bake(
        """{"variable": {"TAG": {"default": "1"}},
            "group": {"default": {"targets": ["a"]}},
            "target": {"a": {"tags": ["x:${TAG}"], "pull": true,
                             "args": {"N": "${add(1, 2)}"}}}}""",
        "json",
        env={"TAG": "2"},
    )
    target = result.targets["a"]
    assert (target.tags, target.args, target.pull) == (("x:2",), {"N": "3"}, True)


COMPOSE = """
services:
  web:
    image: ${REPO:-example.com}/web:${TAG:?set TAG}
    build:
      context: ./web
      args: {NODE: 22, FROM_ENV: , LITERAL: "$$HOME", NO: no}
      additional_contexts: {base: "service:base"}
      cache_from: ["type=registry,ref=example.com/cache"]
      secrets: [npm, {source: key}]
      x-bake:
        tags: [example.com/web:extra]
        platforms: [linux/amd64]
  base:
    build: base
  db:
    image: postgres
secrets:
  npm: {file: ./npmrc}
  key: {environment: KEY}
"""


def test_compose_services_with_a_build_section_become_targets() -> None:
    result = bake(COMPOSE, "yaml", env={"TAG": "7", "FROM_ENV": "here"})
    web = result.targets["web"]
    assert result.groups["default"] == ("web", "base")
    assert web.tags == ("example.com/web:7", "example.com/web:extra")
    assert web.args == {"NODE": "22", "FROM_ENV": "here", "LITERAL": "$HOME", "NO": "no"}
    assert web.secret == ("id=npm,src=./npmrc", "id=key,env=KEY")
    assert web.platforms == ("linux/amd64",)
    assert [t.name for t in result.order()] == ["base", "web"]
    assert result.targets["base"].context == "base"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A", "a"),
        ("${A}", "a"),
        ("${EMPTY-x}", ""),
        ("${EMPTY:-x}", "x"),
        ("${NONE-${A}}", "a"),
        ("${A:+set}", "set"),
        ("${NONE+set}", ""),
        ("$$A $ 1", "$A $ 1"),
        ("${EMPTY?e}", ""),
    ],
)
def test_compose_interpolation(text: str, expected: str) -> None:
    assert bakefile.compose.interpolate(text, {"A": "a", "EMPTY": ""}) == expected


def test_a_required_compose_variable_says_its_message() -> None:
    with pytest.raises(DataError, match="required variable TAG is missing: set TAG"):
        bake(COMPOSE, "yaml")


def test_extended_compose_services_inherit_the_build_section() -> None:
    text = "services: {a: {build: {context: x, args: {A: '1'}}}, b: {extends: a, build: {target: t}}}"
    target = bake(text, "yaml").targets["b"]
    assert (target.context, target.args, target.target) == ("x", {"A": "1"}, "t")


def test_later_files_override_maps_by_key_and_lists_whole() -> None:
    first = Source("a.hcl", 'target "x" { args = {A = 1, B = 1}\n tags = ["a"] }')
    second = Source("b.json", '{"target": {"x": {"args": {"B": "2"}, "tags": ["b"]}}}')
    target = bakefile.parse([first, second], {}).targets["x"]
    assert (target.args, target.tags) == ({"A": "1", "B": "2"}, ("b",))


def test_overrides_reach_all_targets_their_pattern_names() -> None:
    result = bake(
        HCL,
        overrides=["*.args.GO_VERSION=1.25", "app.tags=x:1", "app.tags=x:2", "app.platform=a", "app.platform=b",
                   "node*.push=true", "base.context=dir", "app.cache-from+=y"],
    )  # fmt: skip
    app = result.targets["app"]
    assert app.args["GO_VERSION"] == "1.25"
    assert app.tags == ("x:1", "x:2")
    assert app.platforms == ("a", "b")
    assert app.cache_from[-1] == "type=registry,ref=y"
    assert len(app.cache_from) == 2
    assert result.targets["node-18"].output == ("type=image,push=true",)
    assert result.targets["base"].context == "dir"


@pytest.mark.parametrize("text", ["app", "app.nonsense=1", "app.args=1", "none.tags=x"])
def test_a_senseless_override_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        bake(HCL, overrides=[text])


VALIDATED = """
variable "A" {
  default = "x"
  validation {
    condition = A == "y"
    error_message = "say y, not ${A}"
  }
}
target "x" { args = { X = A } }
"""


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ('target "a" {', "hcl", "docker-bake.hcl:.*not valid HCL"),
        ('x = "%{if true}a"\ntarget "a" { tags = [x] }', "hcl", "a template lacks its endif"),
        ('target "a" { args = "x" }', "hcl", "args has the wrong type"),
        ('target "a" { tags = [nofun(1)] }', "hcl", "unknown function nofun"),
        ('target "a" { tags = [join(1)] }', "hcl", "cannot evaluate"),
        ('target "a" { tags = [target.a.tags[0]] }', "hcl", "target.a.tags refers to itself"),
        ('variable "A" { default = B }\nvariable "B" { default = A }\ntarget "x" {args={X=A}}',
         "hcl", "depends on itself"),
        (VALIDATED, "hcl", "say y, not x"),
        ("[1]", "json", "not an object"),
        ("{", "json", "not valid JSON"),
        ("a: [", "yaml", "not valid YAML"),
        ("a: 1", "yaml", "no services"),
        ("include: [x]\nservices: {}", "yaml", "cannot include x"),
        ("services: {a: {extends: a, build: .}}", "yaml", "is itself"),
    ],
)  # fmt: skip
def test_a_senseless_file_is_one_line_of_error(text: Any, suffix: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        bake(text, suffix)
    assert "\n" not in str(caught.value)


def test_a_parent_that_does_not_exist_is_named() -> None:
    with pytest.raises(DataError, match="failed to find target b; there are: a"):
        bake('target "a" { inherits = ["b"] }').order(["a"])


def test_circles_of_contexts_and_groups_are_named() -> None:
    text = """target "a" { contexts = {x = "target:b"} }
              target "b" { contexts = {x = "target:a"} }
              group "g" { targets = ["g"] }"""
    with pytest.raises(DataError, match="a > b > a"):
        bake(text).order(["a"])
    assert bake(text).expand(["g"]) == ("g",)
    with pytest.raises(DataError, match="failed to find target g"):
        bake(text).order(["g"])
    with pytest.raises(DataError, match="failed to find target default"):
        bake(text).order()


def test_what_docker_passes_over_in_silence_is_said() -> None:
    notes = bake('target "a" { tgas = [] }\nblock "x" {}').notes
    assert [note.partition(" is no ")[0] for note in notes] == ["target a: tgas", "docker-bake.hcl: block"]


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [  # the examples of https://github.com/Masterminds/semver#checking-version-constraints
        ("1.2.3", ">= 1.2.3", True), ("1.5.0", ">= 1.2 < 3.0.0 || >= 4.2.3", True),
        ("3.1.0", ">= 1.2 < 3.0.0 || >= 4.2.3", False),
        ("4.3.0", ">= 1.2, < 3.0.0 || >= 4.2.3", True), ("1.4.5", "1.2 - 1.4.5", True), ("1.4.6", "1.2 - 1.4.5", False),
        ("2.4.0", "2.3.4 - 4.5", True), ("1.2.9", "1.2.x", True), ("1.3.0", "1.2.x", False),
        ("1.2.0", ">= 1.2.x", True),
        ("2.9.0", "<= 2.x", True), ("3.0.0", "<= 2.x", False), ("9.9.9", "*", True), ("1.2.5", "~1.2.3", True),
        ("1.3.0", "~1.2.3", False), ("1.9.0", "~1", True), ("2.3.1", "~2.3", True), ("2.4.0", "~2.3", False),
        ("1.9.9", "^1.2.3", True), ("2.0.0", "^1.2.3", False), ("0.2.9", "^0.2.3", True), ("0.3.0", "^0.2.3", False),
        ("0.0.3", "^0.0.3", True), ("0.0.4", "^0.0.3", False), ("0.0.9", "^0.0", True), ("0.9.0", "^0", True),
        ("1.2.3-beta.1", ">=1.2.0", False), ("1.2.3-beta.2", ">=1.2.3-beta.1", True), ("1.2.3", "!=1.2.3", False),
    ],
)  # fmt: skip
def test_versions_fit_their_constraints(version: str, constraint: str, fits: bool) -> None:
    target = bake(f'target "x" {{ args = {{ X = semvercmp("{version}", "{constraint}") }} }}').targets["x"]
    assert target.args["X"] == ("true" if fits else "false")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('formatdate("YYYY-MM-DD", "2026-11-23T09:05:00Z")', "2026-11-23"),
        ('regex_replace("a.b", "(a)\\\\.", "$1-")', "a-b"),
        ('format("%s-%03d-%v", "a", 7, true)', "a-007-true"),
        ('join(",", concat(["a"], ["b"]), ["c"])', "a,b,c"),
        ('join(",", [for k, v in {a = 1} : "${k}=${v}"])', "a=1"),
        ('join(",", [{n = "a"}, {n = "b"}][*].n)', "a,b"),
        ('try(nope, "fallback")', "fallback"),
        ('can(nope) ? "y" : "n"', "n"),
        ('"tab\\there \\u00e9"', "tab\there é"),
        ('10 / 4', "2.5"),
        ('-(2 + 3) * 2', "-10"),
        ('!(true && false) || false', "true"),
        ('{ for x in ["a", "b"] : x => upper(x) }.b', "B"),
        ('concat([["x"], ["y"]]...)[1]', "y"),
        ('sanitize("feature/x.y")', "feature_x_y"),
        ('substr("hello", 1, 3)', "ell"),
    ],
)  # fmt: skip
def test_expressions(expression: str, value: str) -> None:
    target = bake(f'target "x" {{ args = {{ X = {expression} }} }}').targets["x"]
    assert target.args["X"] == value


def test_files_are_found_in_bakes_order_and_dotenv_counts_under_the_environment(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.override.hcl").write_text('target "web" { target = "t" }')
    (tmp_path / "compose.yaml").write_text("services: {web: {build: {args: {A: $A, B: $B}}}}")
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    files = bakefile.default_files(tmp_path)
    assert [f.name for f in files] == ["compose.yaml", "docker-bake.override.hcl"]
    web = bakefile.load(files, {"B": "env"}).targets["web"]
    assert (web.args, web.target) == ({"A": "file", "B": "env"}, "t")


def test_as_dict_is_what_bake_prints() -> None:
    printed = bake('target "a" { tags = ["x"]\n no-cache = true }').targets["a"].as_dict()
    assert printed == {"context": ".", "dockerfile": "Dockerfile", "tags": ["x"], "no-cache": True}
