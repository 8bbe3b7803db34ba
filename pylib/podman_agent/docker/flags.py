"""The verbs that differ from podman's only in a flag or two: one table.

Reference: https://docs.docker.com/reference/cli/docker/ against podman 5.4's manual pages.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from podman_agent.docker.call import note
from podman_agent.docker.options import Option, Spec, letters, parse, words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from podman_agent.docker.call import Call


class Rules(NamedTuple):
    """What becomes of docker's flags of one verb; a flag in no set goes to podman as it is.

    Attributes:
        spec: How docker reads them.
        podman: The podman verb.
        drop: Flags without meaning or effect in podman.
        noted: Dropped flags the user should know of, with the reason.
        rename: Flags podman has under another name; ``""`` makes the value an operand.
    """

    spec: Spec
    podman: tuple[str, ...]
    drop: frozenset[str] = frozenset()
    noted: Mapping[str, str] = MappingProxyType({})
    rename: Mapping[str, str] = MappingProxyType({})


_SIGNAL = {"signal": "podman sends the container's own stop signal; `docker kill -s` sends another"}
_TRUST = "disable-content-trust"

RULES: dict[str, Rules] = {
    "stop": Rules(
        Spec(words("time timeout signal"), words(""), letters("t=time s=signal")),
        ("stop",),
        noted=_SIGNAL,
        rename={"timeout": "time"},
    ),
    "restart": Rules(
        Spec(words("time timeout signal"), words(""), letters("t=time s=signal")),
        ("restart",),
        noted=_SIGNAL,
        rename={"timeout": "time"},
    ),
    "rm": Rules(
        Spec(words("time filter cidfile depend"), words(""), letters("f=force v=volumes l=link t=time a=all i=ignore")),
        ("rm",),
        drop=words("link"),
    ),
    "logs": Rules(
        Spec(words("since tail until"), words(""), letters("n=tail f=follow t=timestamps")),
        ("logs",),
        drop=words("details"),
    ),
    "pull": Rules(
        Spec(words("platform"), words(""), letters("a=all-tags q=quiet")),
        ("pull",),
        drop=words(_TRUST),
    ),
    "commit": Rules(
        Spec(
            words("author change message"),
            words("pause"),
            letters("a=author c=change m=message p=pause"),
        ),
        ("commit", "--format=docker"),  # OCI's has no place for --message
    ),
    "volume create": Rules(
        Spec(words("driver label name opt availability group"), words(""), letters("d=driver o=opt")),
        ("volume", "create"),
        rename={"name": ""},
    ),
    "network create": Rules(
        Spec(
            words("aux-address config-from driver gateway ip-range ipam-driver ipam-opt label opt scope subnet"),
            words(""),
            letters("d=driver o=opt"),
        ),
        ("network", "create"),
        drop=words("attachable ingress scope aux-address ipam-opt"),
        noted={"config-from": "podman has no configuration-only networks"},
    ),
    "import": Rules(
        Spec(words("change message platform"), words(""), letters("c=change m=message")),
        ("import",),
        drop=words("platform"),
    ),
    "load": Rules(
        Spec(words("input platform"), words(""), letters("i=input q=quiet")),
        ("load",),
        drop=words("platform"),
    ),
}


def translate(verb: str, args: list[str]) -> list[str]:
    """Turn the arguments of one docker verb into podman's.

    Args:
        verb: A key of `RULES`.
        args: What follows it.

    Returns:
        Podman's arguments, verb first.
    """
    rules = RULES[verb]
    parsed = parse(args, rules.spec)
    out: list[str] = []
    operands = list(parsed.operands)
    for option in parsed.options:
        if option.name in rules.noted:
            note(f"--{option.name} is ignored: {rules.noted[option.name]}")
        elif rules.rename.get(option.name) == "":
            operands.append(option.value or "")
        elif option.name not in rules.drop:
            name = rules.rename.get(option.name, option.name)
            out += Option(name, option.value).tokens()
    return [*rules.podman, *out, *operands]


def run(call: Call, verb: str, args: list[str]) -> NoReturn:
    """Translate and become podman."""
    argv = translate(verb, args)
    if verb == "volume create" and argv[-1:] != ["create"] and not argv[-1].startswith("-"):
        argv.insert(2, "--ignore")  # one that is there is no error to docker
    if verb in {"stop", "restart"}:
        call.become("--log-level=error", *argv)  # docker does not tell that it had to kill
    if verb == "rm" and "--force" in argv and not any(arg.startswith("--time") for arg in argv):
        argv.insert(1, "--time=0")  # docker kills at once, podman waits ten seconds for the container to stop
    call.become(*argv)
