"""Cases of whole files: blocks, matrices, inheritance, groups, overrides, variables, compose."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from oracles.bake.cases import Case
from oracles.bake.otherfiles import COMPOSE, JSON_FILES, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

# A file, and what is asked of it: names and options apart by blanks.
TREE = """
group "default" { targets = ["app", "lint"] }
group "all" { targets = ["default", "more"] }
group "more" { targets = ["base"] }
target "_common" {
  args = { A = "common", B = "common" }
  labels = { l = "common" }
  tags = ["common:1"]
  platforms = ["linux/amd64"]
  cache-from = ["type=registry,ref=common/cache"]
  output = ["type=docker"]
  annotations = ["a=common"]
}
target "_second" {
  args = { B = "second", C = "second" }
  cache-from = ["type=gha"]
  annotations = ["a=second"]
  no-cache = true
}
target "base" {
  inherits = ["_common"]
  dockerfile = "base.Dockerfile"
}
target "app" {
  inherits = ["_common", "_second"]
  context = "./app/"
  contexts = { base = "target:base", src = "../src" }
  args = { C = "app", D = null }
  tags = ["app:1", "app:latest", "app:1"]
}
target "lint" {
  inherits = ["app"]
  target = "lint"
  output = ["type=cacheonly"]
}
"""

ASKED = r"""
app
base lint
all
more app
a*
*
[ab]*
nope
x*
app.1
--set app.args.A=9
--set *.args.A=9
--set _common.args.A=9
--set _common.tags=x:1
--set app.args.NEW=
--set app.args.FROM_ENV
--set app.args.NOT_THERE
--set app.labels.l=mine
--set app.contexts.src=elsewhere
--set app.contexts.src=
--set app.context=there
--set app.dockerfile=D
--set app.dockerfile=
--set app.target=t
--set app.tags=x:1 --set app.tags=x:2
--set app.tags+=x:1
--set app.tags=
--set app.platform=linux/arm64
--set app.platform=linux/arm64 --set app.platform=linux/amd64
--set app.platform+=linux/arm64
--set app.output=out
--set app.output=-
--set app.output=type=registry
--set app.output=type=image,name=x,push=true
--set app.output+=type=local,dest=out
--set app.output=
--set app.output=type=
--set app.output=x=y
--set *.output=type=docker
--set app.cache-from=user/app
--set app.cache-from=a,b
--set app.cache-from+=type=local,src=c
--set app.cache-from=ref=x
--set app.cache-to=type=inline
--set app.secrets=id=s,env=FROM_ENV
--set app.secrets=type=env,id=FROM_ENV
--set app.attest=type=sbom
--set app.attest=type=provenance,mode=max --set app.attest=type=provenance,disabled=true
--set app.annotations=b=c
--set app.entitlements=network.host
--set app.network=host
--set app.network=none
--set app.no-cache=false
--set app.no-cache=1
--set app.no-cache=perhaps
--set app.no-cache-filter=stage
--set app.pull=true
--set app.push=true
--set app.push=false
--set *.push=true
--set *.load=true
--set app.load=true --set app.output=type=local,dest=out
--set app.shm-size=1g
--set app.ulimits=nofile=1024
--set app.extra-hosts.h=1.2.3.4
--set app.call=check
--set nope.tags=x
--set app
--set app.nonsense=1
--set app.args=1
--set app.tags.x=1
--set app.inherits=x
--set lint.args.A=1 lint
--push
--load
--no-cache
--pull
--no-cache --pull --push base
""".strip().splitlines()

VARIABLE_TYPES = {
    'default = "d"': ("e", "", "true", "1"),
    "default = true": ("false", "0", "TRUE", "yes", ""),
    "default = 1": ("2", "2.50", "1e3", "x", ""),
    'default = ["a"]': ("b", "b,c"),
    'default = { a = "b" }': ("x",),
    "default = null": ("x", ""),
    "": ("x", ""),
    "type = string": ("x", ""),
    "type = number": ("2", "x"),
    "type = bool": ("true", "x"),
    "type = any": ("x", "2"),
    "type = list(string)": ("a,b", "", 'a,"b,c"'),
    "type = list(number)": ("1,2", "1,x"),
    "type = set(string)": ("b,a,b",),
    "type = map(string)": ("a:b,c:d", "a", "a:b:c"),
    "type = tuple([string, number])": ("a,1", "a", "a,b"),
    "type = object({ a = string })": ("x",),
    "type = list(list(string))": ("a,b",),
    "type = nonsense": ("x",),
    'type = list(string)\n  default = ["d"]': ("a", ""),
    'type = number\n  default = "5"': ("6",),
    'type = number\n  default = "x"': ("6",),
    'type = object({ a = string, b = optional(number, 3) })\n  default = { a = "x", c = 1 }': (),
    "type = object({ a = string })\n  default = { b = 1 }": (),
    'type = map(number)\n  default = { a = "1" }': (),
    'type = list(any)\n  default = [1, "a"]': (),
    'type = tuple([string, number])\n  default = [1, "2"]': (),
}

JSON_VALUES = {
    "type = list(number)": ("[1, 2]", '["1"]', "nonsense", "{}"),
    "type = object({ a = string })": ('{"a": "b"}', '{"a": 1}', "{}", "[]"),
    "type = map(string)": ('{"a": "b"}', "[1]"),
    "type = string": ('"x"', "1"),
    'default = "d"': ('"x"', "x"),
    'default = ["a"]': ('["b"]',),
    "": ('"x"',),
}

FILES = {
    "two blocks of one target": 'target "default" {\n  args = { a = "1", b = "1" }\n  tags = ["a"]\n}\n'
    'target "default" {\n  args = { b = "2" }\n  tags = ["b"]\n}\n',
    "two blocks of one group": 'group "default" { targets = ["a"] }\ngroup "default" { targets = ["b"] }\n'
    'target "a" {}\ntarget "b" {}\n',
    "a group named as its target": 'group "a" { targets = ["a", "b"] }\ntarget "a" {}\ntarget "b" {}\n'
    'group "default" { targets = ["a"] }\n',
    "a group in itself": 'group "default" { targets = ["default", "a"] }\ntarget "a" {}\n',
    "groups in a circle": 'group "default" { targets = ["g"] }\ngroup "g" { targets = ["default", "a"] }\ntarget "a" {}\n',
    "an empty group": 'group "default" { targets = [] }\n',
    "a group without targets": 'group "default" {}\ntarget "a" {}\n',
    "a group of an unknown target": 'group "default" { targets = ["nope"] }\n',
    "a group with a matrix": 'group "default" {\n  targets = ["a"]\n  matrix = {}\n}\ntarget "a" {}\n',
    "no default": 'target "a" {}\n',
    "nothing": "",
    "a comment": "# nothing\n",
    "an unknown block": 'block "x" {}\ntarget "default" {}\n',
    "a target without a name": "target {}\n",
    "a target with two names": 'target "a" "b" {}\n',
    "a name with a dot": 'target "a.b" {}\ngroup "default" { targets = ["a.b"] }\n',
    "a name with an umlaut": 'target "ä" {}\n',
    "a global": 'x = "g"\ny = "${x}${x}"\ntarget "default" { args = { a = y } }\n',
    "a global in a circle": 'x = y\ny = x\ntarget "default" { args = { a = x } }\n',
    "a global that nobody asks for": 'x = nope\ntarget "default" {}\n',
    "a variable that nobody asks for": 'variable "x" { default = nope }\ntarget "default" {}\n',
    "a variable twice": 'variable "x" { default = "1" }\nvariable "x" { default = "2" }\ntarget "default" { args = { a = x } }\n',
    "a variable of variables": 'variable "a" { default = "1" }\nvariable "b" { default = "${a}2" }\n'
    'target "default" { args = { a = b } }\n',
    "an attribute twice": 'target "default" {\n  tags = ["a"]\n  tags = ["b"]\n}\n',
    "a function": 'function "f" {\n  params = [a, b]\n  result = "${a}-${upper(b)}"\n}\ntarget "default" { tags = [f("x", "y")] }\n',
    "a function with too few": 'function "f" {\n  params = [a, b]\n  result = a\n}\ntarget "default" { tags = [f("x")] }\n',
    "a function with too many": 'function "f" {\n  params = [a]\n  result = a\n}\ntarget "default" { tags = [f("x", "y")] }\n',
    "a function of more": 'function "f" {\n  params = [a]\n  variadic_params = rest\n  result = [for r in rest : "${a}:${r}"]\n}\n'
    'target "default" { tags = f("x", "1", "2") }\n',
    "a function of globals": 'r = "reg"\nfunction "f" {\n  params = [a]\n  result = "${r}/${a}"\n}\ntarget "default" { tags = [f("x")] }\n',
    "a function of a function": 'function "f" {\n  params = [a]\n  result = "f${a}"\n}\nfunction "g" {\n  params = [a]\n  result = f(f(a))\n}\n'
    'target "default" { tags = [g("x")] }\n',
    "a function without params": 'function "f" {\n  result = "x"\n}\ntarget "default" {}\n',
    "a function without result": 'function "f" {\n  params = []\n}\ntarget "default" {}\n',
    "a function named as another": 'function "upper" {\n  params = [a]\n  result = "mine"\n}\ntarget "default" { tags = [upper("x")] }\n',
    "a function of itself": 'function "f" {\n  params = [a]\n  result = f(a)\n}\ntarget "default" { tags = [f("x")] }\n',
    "a valid variable": 'variable "x" {\n  default = "a"\n  validation {\n    condition = x != ""\n    error_message = "say it"\n  }\n}\n'
    'target "default" { args = { a = x } }\n',
    "an invalid variable": 'variable "x" {\n  default = ""\n  validation {\n    condition = x != ""\n    error_message = "say it"\n  }\n}\n'
    'target "default" {}\n',
    "two validations": 'variable "x" {\n  default = "ab"\n  validation {\n    condition = x != ""\n    error_message = "1"\n  }\n'
    '  validation {\n    condition = strlen(x) > 5\n    error_message = "2"\n  }\n}\ntarget "default" {}\n',
    "a validation that is text": 'variable "x" {\n  default = "a"\n  validation {\n    condition = "true"\n    error_message = "1"\n  }\n}\n'
    'target "default" {}\n',
    "a validation that is null": 'variable "x" {\n  default = "a"\n  validation {\n    condition = null\n    error_message = "1"\n  }\n}\n'
    'target "default" {}\n',
    "a validation of another": 'variable "x" {\n  default = "a"\n  validation {\n    condition = x != y\n    error_message = "1"\n  }\n}\n'
    'variable "y" { default = "a" }\ntarget "default" {}\n',
    "heredocs": 'target "default" {\n  dockerfile-inline = <<EOT\nFROM x\n  RUN "a" \\\n    ${upper("b")} $${HOME} %{ if true }y%{ endif }\nEOT\n'
    "  args = {\n    a = <<-E\n      one\n        two\n\n      three\n    E\n    b = <<E\nE\n  }\n}\n",
    "a heredoc of a directive": 'target "default" {\n  args = {\n    a = <<E\n%{ for x in ["a", "b"] ~}\n- ${x}\n%{ endfor ~}\nend\nE\n  }\n}\n',
    "comments": '# one\n// two\n/* three\n four */\ntarget "default" { # five\n  tags = [ // six\n    "a", /* seven */ "b",\n  ]\n}\n',
    "a matrix": 'target "default" {\n  name = "t-${a}"\n  matrix = { a = ["x", "y"] }\n  args = { a = a }\n}\n',
    "a matrix of two": 'target "default" {\n  name = "t-${a}-${b}"\n  matrix = {\n    a = ["x", "y"]\n    b = ["1", "2"]\n  }\n  args = { a = a, b = b }\n}\n',
    "a matrix of objects": 'target "default" {\n  name = "t-${replace(i.v, ".", "-")}"\n  matrix = { i = [{ v = "1.1" }, { v = "1.2" }] }\n'
    "  args = { v = i.v }\n}\n",
    "a matrix of a variable": 'variable "V" { default = ["1", "2"] }\ntarget "default" {\n  name = "t${v}"\n  matrix = { v = V }\n}\n',
    "a matrix of numbers": 'target "default" {\n  name = "t${v}"\n  matrix = { v = range(1, 4) }\n  args = { v = v }\n}\n',
    "a matrix with one name": 'target "default" {\n  name = "t"\n  matrix = { v = ["1", "2"] }\n}\n',
    "a matrix with a bad name": 'target "default" {\n  name = "t.${v}"\n  matrix = { v = ["1"] }\n}\n',
    "an empty matrix": 'target "default" {\n  name = "t"\n  matrix = { v = [] }\n}\n',
    "a matrix that is inherited": 'target "m" {\n  name = "m-${v}"\n  matrix = { v = ["1", "2"] }\n  args = { v = v }\n}\n'
    'target "default" { inherits = ["m-2"] }\n',
    "a matrix that inherits": 'target "base" { args = { b = "1" } }\ntarget "default" {\n  name = "m-${v}"\n  matrix = { v = ["1", "2"] }\n'
    '  inherits = ["base"]\n  tags = ["x:${v}"]\n}\n',
    "a matrix of a bare group": 'target "m" {\n  name = "m-${v}"\n  matrix = { v = ["1", "2"] }\n}\ngroup "default" { targets = ["m"] }\n',
    "a matrix linked": 'target "b" {\n  name = "b-${v}"\n  matrix = { v = ["1", "2"] }\n}\ntarget "default" {\n  name = "d-${v}"\n'
    '  matrix = { v = ["1", "2"] }\n  contexts = { b = "target:b-${v}" }\n}\n',
    "a chain of links": 'target "default" { contexts = { a = "target:a" } }\ntarget "a" { contexts = { b = "target:b" } }\n'
    'target "b" { tags = ["b:1"] }\n',
    "a circle of links": 'target "default" { contexts = { a = "target:a" } }\ntarget "a" { contexts = { b = "target:default" } }\n',
    "links to a target also asked for": 'group "default" { targets = ["a", "b"] }\ntarget "a" { contexts = { b = "target:b" } }\n'
    'target "b" { output = ["type=docker"] }\n',
    "links and platforms": 'target "default" {\n  contexts = { a = "target:a" }\n  platforms = ["linux/amd64", "linux/arm64"]\n}\n'
    'target "a" { platforms = ["linux/amd64", "linux/riscv64"] }\n',
    "links and entitlements": 'target "default" { contexts = { a = "target:a" } }\ntarget "a" { network = "host" }\n',
    "an inherited diamond": 'target "a" { args = { x = "a" } }\ntarget "b" { inherits = ["a"] }\ntarget "c" {\n  inherits = ["a"]\n'
    '  args = { x = "c" }\n}\ntarget "default" { inherits = ["c", "b"] }\n',
    "an inherited circle": 'target "a" {\n  inherits = ["b"]\n  args = { a = "1" }\n}\ntarget "b" {\n  inherits = ["a"]\n  args = { b = "1" }\n}\n'
    'target "default" { inherits = ["a"] }\n',
    "a broken target that nobody asks for": 'target "default" {}\ntarget "broken" { inherits = ["nope"] }\n',
    "what is inherited is grown": 'target "p" {\n  secret = ["id=a,env=HOME"]\n  annotations = ["a=1"]\n'
    '  attest = ["type=sbom"]\n  cache-to = ["type=inline"]\n  ulimits = ["nofile=1"]\n  no-cache-filter = ["x"]\n  entitlements = ["network.host"]\n}\n'
    'target "default" {\n  inherits = ["p"]\n  secret = ["id=b,env=HOME", "id=a,env=PATH"]\n  annotations = ["b=1"]\n'
    '  attest = ["type=sbom,generator=x"]\n  cache-to = ["type=gha"]\n  ulimits = ["nproc=1"]\n  no-cache-filter = ["y"]\n  entitlements = ["security.insecure"]\n}\n',
    "a target of a global of a target": 'target "a" { dockerfile = "x" }\nx = target.a.dockerfile\ntarget "default" { dockerfile = x }\n',
    "targets of each other": 'target "a" {\n  tags = [target.b.context]\n  context = "ca"\n}\ntarget "b" {\n  tags = [target.a.context]\n  context = "cb"\n}\n'
    'group "default" { targets = ["a", "b"] }\n',
    "a target by a key": 'target "a-b" { tags = ["x:1"] }\ntarget "default" { tags = [target["a-b"].tags[0]] }\n',
    "a group by an expression": 'variable "X" { default = true }\ngroup "default" { targets = X ? ["a", "b"] : ["a"] }\ntarget "a" {}\ntarget "b" {}\n',
    "not closed": 'target "default" {\n',
    "not HCL": "target: default\n",
    "an equals sign too few": 'target "default" { tags ["x"] }\n',
}


def cases() -> Iterator[Case]:
    """Every case of whole files."""
    for line in ASKED:
        words = line.split()
        options = [w for i, w in enumerate(words) if w.startswith("--") or (i and words[i - 1] == "--set")]
        names = [w for i, w in enumerate(words) if not w.startswith("--") and not (i and words[i - 1] == "--set")]
        yield Case(f"asked {line}", {"docker-bake.hcl": TREE}, tuple(names), tuple(options), {"FROM_ENV": "here"})
    for line in TARGETS:
        yield Case(f"target {line}", {"docker-bake.hcl": f'target "default" {{\n  {line}\n}}\n'})
    for suffix, values in (("", VARIABLE_TYPES), ("_JSON", JSON_VALUES)):
        for body, texts in values.items():
            text = f'variable "X" {{\n  {body}\n}}\ntarget "default" {{\n  args = {{ x = jsonencode(X) }}\n}}\n'
            for value in (*texts, *([None] if not suffix else [])):
                env = {} if value is None else {f"X{suffix}": value}
                yield Case(f"variable {body!r} {suffix}={value}", {"docker-bake.hcl": text}, env=env)
    for kind, name, files in (("HCL", "docker-bake.hcl", FILES), ("JSON", "docker-bake.json", JSON_FILES)):
        for title, text in files.items():
            yield Case(f"{kind} {title}", {name: text})
    for title, text in COMPOSE.items():
        yield Case(f"compose {title}", {"compose.yaml": text}, env={"FROM_ENV": "here"})
    yield from _several()


def _several() -> Iterator[Case]:
    parts = {
        "a.hcl": 'variable "X" { default = "a" }\ntarget "default" {\n  args = { x = X, a = "a" }\n  tags = ["a:1"]\n}\n',
        "b.hcl": 'variable "X" { default = "b" }\ntarget "default" {\n  args = { b = "b" }\n  tags = ["b:1"]\n}\ngroup "g" { targets = ["default"] }\n',
        "c.json": '{"variable": {"X": {"default": "c"}}, "target": {"default": {"args": {"c": "${X}"}}}}',
        "compose.yaml": "services:\n  default:\n    image: compose:1\n    build:\n      context: x\n      args: {d: d}\n",
    }
    for count in (2, 3, 4):
        for chosen in itertools.permutations(parts, count):
            if count < 4 or chosen[0] == "a.hcl":
                yield Case(f"files {' '.join(chosen)}", {name: parts[name] for name in chosen})
    yield Case(
        "compose include",
        {"compose.yaml": "include: [other.yaml]\nservices:\n  web:\n    build: .\n"},
        beside={"other.yaml": "services:\n  other:\n    build: o\n"},
    )
    yield Case(
        "compose extends a file",
        {"compose.yaml": "services:\n  web:\n    extends: {file: other.yaml, service: other}\n"},
        beside={"other.yaml": "services:\n  other:\n    build: {context: o, args: {A: '1'}}\n"},
    )
    yield Case("no file", {})
