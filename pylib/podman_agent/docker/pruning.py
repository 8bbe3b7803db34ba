"""The verbs that remove more in podman than in docker, so that nothing unnamed is lost.

Docker 23 and later prunes anonymous volumes only, unless ``--all``
(https://docs.docker.com/reference/cli/docker/volume/prune/); podman prunes every unused one.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from podman_agent.docker.options import Parsed, Spec, letters, parse, words
from podman_agent.errors import PodmanAgentError

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

_SPEC = Spec(words("filter"), words(""), letters("a=all f=force"))


def run(call: Call, verb: str, args: list[str]) -> int:
    """Run ``docker volume prune`` or ``docker system prune``."""
    parsed = parse(args, _SPEC)
    if verb == "volume prune":
        if parsed.has("all") or parsed.has("help"):
            rest = [t for option in parsed.without("all") for t in option.tokens()]
            call.become("volume", "prune", *rest)
        return _anonymous_volumes(call, parsed)
    rest = [t for option in parsed.without("volumes") for t in option.tokens()]
    if not parsed.has("help"):
        builds()
    if not parsed.has("volumes"):
        call.become("system", "prune", *rest)
    return call.run("system", "prune", *rest) or _anonymous_volumes(call, parsed)


def builds() -> None:
    """Remove what builds that were ended by a signal have left, as docker's prunes do with BuildKit's."""
    from podman_agent.prepare.ended import clear_away  # noqa: PLC0415 - rarely needed

    with contextlib.suppress(PodmanAgentError):  # no plan could be made: podman prunes with its own defaults
        clear_away()


def _anonymous_volumes(call: Call, parsed: Parsed) -> int:
    filters = [f"--filter={text}" for text in parsed.all("filter") if text.startswith("label")]
    code, text = call.read("volume", "ls", "--quiet", "--filter=dangling=true", *filters)
    if code or not text.split():
        return code
    form = "{{if .Anonymous}}{{.Name}}{{end}}"
    code, text = call.read("volume", "inspect", f"--format={form}", *text.split())
    return code if code or not text.split() else call.run("volume", "rm", *text.split())
