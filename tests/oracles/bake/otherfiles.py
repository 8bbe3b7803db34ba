"""Bake files in JSON and compose files, by what is in them."""

TARGETS = r"""
tags = "x"
tags = ["x", null]
tags = [1, true]
tags = []
tags = null
tags = [["x"]]
args = "x"
args = { a = ["x"] }
args = { a = {} }
args = { a = 1, b = true, c = null, d = "$${x}" }
args = ["x"]
labels = { a = 1.50 }
context = 1
context = ["."]
context = "."
context = "./a/../b/"
context = "https://github.com/a/b.git#main"
context = "cwd://"
context = "cwd://sub"
context = BAKE_CMD_CONTEXT
context = null
context = ""
dockerfile = ""
dockerfile = "./x/../Dockerfile"
dockerfile-inline = "FROM scratch\nRUN echo $${HOME}\n"
contexts = { a = null }
contexts = { a = "", b = "x" }
contexts = { a = "docker-image://alpine", b = "https://x.example/y.git", c = "./z/" }
contexts = { a = "target:nope" }
contexts = { a = "target:default" }
platforms = ["linux/amd64", "linux/amd64", ""]
platforms = [BAKE_LOCAL_PLATFORM]
platforms = ["nonsense/x/y/z"]
output = ["type=docker", ""]
output = [{ type = "local", dest = "out" }]
output = [{ type = "image", name = "a,b", push = true }]
output = ["type=image,\"name=a,b\""]
output = ["out"]
output = ["-"]
output = "type=docker"
output = [{ dest = "x" }]
output = [1]
cache-from = ["user/app:cache"]
cache-from = ["user/a,user/b"]
cache-from = [{ type = "s3", bucket = "b", region = "r" }]
cache-from = ["type=registry,ref=a", "type=registry,ref=b", "type=registry,ref=a"]
cache-from = ["ref=a"]
cache-from = "a"
cache-to = ["type=inline", "type=registry,ref=a,mode=max"]
cache-to = [{ type = "local", dest = "c" }]
secret = ["id=a,env=HOME", "id=a,env=PATH"]
secret = [{ id = "a", env = "HOME" }]
secret = ["type=env,id=HOME"]
secret = ["nonsense"]
secret = ["id=a,nonsense=b"]
attest = ["type=sbom", "type=sbom,generator=x", "type=provenance,mode=max"]
attest = [{ type = "provenance", disabled = true }]
attest = [{ type = "sbom", disabled = false }]
attest = ["sbom"]
annotations = ["a=b", "a=b", "manifest:c=d"]
annotations = ["manifest[linux/amd64]:c=$${d}"]
no-cache = true
no-cache = "true"
no-cache = "1"
no-cache = 1
no-cache = null
pull = false
no-cache-filter = ["a", "a"]
network = "host"
network = "none"
shm-size = "128m"
shm-size = "nonsense"
ulimits = ["nofile=1024:2048", "nofile=1024:2048"]
ulimits = ["nonsense"]
entitlements = ["network.host", "security.insecure"]
extra-hosts = { h = "1.2.3.4", i = null }
call = "check"
description = "says $${this}"
target = "stage"
inherits = ["nope"]
inherits = ["default"]
inherits = []
inherits = null
nonsense = 1
resources = { memory = "2g" }
matrix = { a = ["1", "2"] }
matrix = { a = ["1"] }
matrix = { a = "x" }
matrix = ["x"]
name = "x"
tags = [target.default.context]
tags = [target.default.tags[0]]
tags = [target.nope.context]
args = { a = target.default.name }
tags = [for x in ["a"] : "${x}:1"]
args = merge({ a = "1" }, { b = "2" })
""".strip().splitlines()

JSON_FILES = {
    "plain": '{"target": {"default": {"tags": ["x:${add(1, 2)}"], "pull": true}}}',
    "lists of blocks": '{"target": [{"default": {"args": {"a": "1"}}}, {"default": {"args": {"b": "2"}}}]}',
    "a list in a block": '{"target": {"default": [{"args": {"a": "1"}}, {"tags": ["t"]}]}}',
    "variables": '{"variable": {"X": {"default": "1"}, "Y": {"default": 2}}, "target": {"default": {"args": {"a": "${X}${Y}"}}}}',
    "a default of null": '{"variable": {"X": {"default": null}}, "target": {"default": {"args": {"a": "${X}"}}}}',
    "a typed variable": '{"variable": {"X": {"type": "list(string)", "default": ["a"]}}, "target": {"default": {"tags": "${X}"}}}',
    "functions": '{"function": {"f": {"params": ["a"], "result": "${upper(a)}"}}, "target": {"default": {"tags": ["${f(\\"x\\")}"]}}}',
    "a matrix": '{"target": {"default": {"name": "t-${v}", "matrix": {"v": ["1", "2"]}, "args": {"v": "${v}"}}}}',
    "groups": '{"group": {"default": {"targets": ["a"]}}, "target": {"a": {}, "b": {}}}',
    "escapes": '{"target": {"default": {"args": {"a": "$${X} %%{Y} \\\\n \\" é", "b": "a\\nb"}}}}',
    "numbers": '{"target": {"default": {"args": {"a": 1.50, "b": 10000000000000000000000, "c": true}}}}',
    "globals": '{"x": "g", "target": {"default": {"args": {"a": "${x}"}}}}',
    "objects": '{"target": {"default": {"output": [{"type": "local", "dest": "out"}], "secret": [{"id": "a", "env": "HOME"}]}}}',
    "a validation": '{"variable": {"X": {"default": "", "validation": {"condition": "${X != \\"\\"}", "error_message": "say"}}}, "target": {"default": {}}}',
    "not JSON": '{"target": ',
    "no object": "[1]",
    "an unknown attribute": '{"target": {"default": {"nonsense": 1}}}',
}

COMPOSE = {
    "plain": "services:\n  web:\n    image: web:1\n    build: ./web\n  db:\n    image: postgres\n",
    "all fields": "services:\n  web:\n    image: web:1\n    build:\n      context: ./web/\n      dockerfile: D\n      target: t\n"
    "      args: {A: 1, B: , C: 'yes'}\n      labels: {l: x}\n      tags: [a:1]\n      platforms: [linux/amd64]\n      no_cache: true\n"
    "      pull: true\n      network: host\n      shm_size: 64m\n      cache_from: [user/c, 'type=gha']\n      cache_to: ['type=inline']\n"
    "      extra_hosts: ['a=1.2.3.4', 'b:5.6.7.8']\n      ulimits: {nofile: {soft: 1, hard: 2}}\n",
    "arguments as a list": "services:\n  web:\n    build:\n      context: .\n      args: [A=1, B, FROM_ENV]\n      labels: ['l=x']\n",
    "interpolation": "services:\n  web:\n    build:\n      context: .\n      args:\n        A: ${FROM_ENV}\n        B: ${NONE:-d}\n        C: $$X\n"
    "        D: ${NONE-}\n        E: ${FROM_ENV:+set}\n",
    "a required variable": "services:\n  web:\n    build:\n      context: .\n      args: {A: '${NONE:?say it}'}\n",
    "secrets": "services:\n  web:\n    build:\n      context: .\n      secrets: [s, {source: e, target: x}]\nsecrets:\n  s: {environment: HOME}\n"
    "  e: {environment: PATH}\n",
    "an undefined secret": "services:\n  web:\n    build:\n      context: .\n      secrets: [s]\n",
    "contexts": "services:\n  web:\n    build:\n      context: .\n      additional_contexts: {a: ./x/, b: 'service:db', c: 'docker-image://alpine'}\n  db:\n    build: db\n",
    "extends": "services:\n  a:\n    build:\n      context: x\n      args: {A: '1', B: '1'}\n  web:\n    extends: a\n    build:\n      target: t\n      args: {B: '2'}\n",
    "extends by a map": "services:\n  a:\n    build: {context: x}\n  web:\n    extends: {service: a}\n    image: web:2\n",
    "x-bake": "services:\n  web:\n    image: web:1\n    build:\n      context: .\n      tags: [a:1]\n      cache_from: [user/c]\n      x-bake:\n        tags: [b:1, a:1]\n"
    "        platforms: linux/amd64 linux/arm64\n        cache-from: user/d\n        output: ['type=docker']\n        no-cache: true\n        contexts: {x: ../x}\n",
    "names": "services:\n  web.app:\n    build: .\n  web-two:\n    build: {context: ., additional_contexts: {a: 'service:web.app'}}\n",
    "an inline Dockerfile": "services:\n  web:\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM scratch\n        RUN echo $${X}\n",
    "sbom and provenance": "services:\n  web:\n    build: {context: ., sbom: true, provenance: mode=max}\n  two:\n    build: {context: ., provenance: false}\n",
    "no services": "name: x\n",
    "not YAML": "services: [\n",
    "a list of services": "services: [a]\n",
    "nothing to build": "services:\n  db:\n    image: postgres\n",
    "neither image nor build": "services:\n  db:\n    command: x\n",
    "anchors": "x-b: &b\n  context: .\n  args: {A: '1'}\nservices:\n  web:\n    build:\n      <<: *b\n      target: t\n  two:\n    build: *b\n",
    "words that YAML 1.1 takes": "services:\n  web:\n    build:\n      context: .\n      args: {A: no, B: 22:22, C: 1_000, D: 0o14, E: 1.10, F: null}\n",
    "environment": "services:\n  web:\n    environment: {E: service}\n    build:\n      context: .\n      args: [E]\n",
}
