"""Well-known error texts of podman in a pod: what each means here, and what to change.

A text is recognised by words that only the engine, the kernel's refusal or the registry client write, so that an error
of the user's own build (a compiler, a test, a package manager) is never explained as the pod's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from podman_agent.explain.catalogue import RULES
from podman_agent.explain.limits import KILLED
from podman_agent.explain.stores import DISK_FULL
from podman_agent.pod import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from podman_agent.explain.explanation import Explanation

_COMPILED = tuple((re.compile(rule.pattern), rule) for rule in RULES)


def explain(lines: Iterable[str]) -> Iterator[tuple[str, Explanation]]:
    """Find the known texts in a log.

    Args:
        lines: The lines of a log, or one message.

    Yields:
        The line and what it means, each explanation once.
    """
    told = set()
    for line in lines:
        for pattern, rule in _COMPILED:
            if rule not in told and pattern.search(line):
                told.add(rule)
                yield line.strip(), rule


# buildah's verdict on a RUN step whose program ended so, or was never started
_STEP = re.compile(r'Error: building at STEP "RUN .*": (?:while running runtime: )?exit status (\d+)$')
_LOGGED = re.compile(r'time="[^"]*" level=\w+ ')
_SIGKILLED = 128 + 9
# after a step of any kind: podman could not even write down that it is over
_CLEANING_UP = re.compile(r'time="[^"]*" level=error msg="error \w+ (build )?container: .*' + DISK_FULL.pattern)
# the user namespace is made before anything else runs, so that all lines before are podman's, and say why
_NAMESPACE = re.compile(r"Error: cannot (set up namespace|re-exec process)")
# buildah's last words before its verdict on a step that was not started (run_common.go; chroot/run_common.go, which
# says the last of these lines twice about a program that did run)
_NOT_STARTED = re.compile(
    r"(?:^|\n)(?:"
    r"error running container: from \S+ creating container for [\s\S]*\]: (?P<runtime>.*)\n: exit status \d+"
    r"|error running (?:container|subprocess): (?P<buildah>.*)"
    r"|(?P<chroot>error .*)\nsubprocess exited with status 1"
    r"|(?P<killed>container exited on killed|subprocess exited on killed)(?:\nsubprocess exited with status 1)?"
    r")\Z"
)


def cure(said: str, code: int, where_full: Callable[..., str], *, by_program: bool = False) -> str:
    """Say in one line what podman's failure means in this pod.

    Only podman's own verdict counts, and what kept it from starting a step: never the words of a build step or a
    container, which may be those of some other podman, and no warning, which podman goes on after. But a full disk is
    named whoever noticed it, if one is full.

    Args:
        said: The end of what it wrote to stderr.
        code: Its exit code: another build may have written its own end into the same log.
        where_full: Called for a full disk with the lines that say so, and ``sure`` when they are podman's;
            gives the line, or nothing where nothing is full (`podman_agent.explain.diskfull.advice`).
        by_program: The exit code is that of a container's program, so that podman itself said nothing.

    Returns:
        Cause, cure and source, or nothing where none is known.
    """
    lines = said.splitlines()
    own = [] if by_program else _own(lines, code)
    for _, known in explain(own):
        if known is KILLED:
            return f"{_killed()}; {known.cure} ({known.source})"
        if known is not DISK_FULL:
            return f"{known.cause}; {known.cure} ({known.source})"
    spoken = [line for line in lines if not line.startswith(("docker: ", "podman-agent: "))]
    full = [line for line in spoken if re.search(DISK_FULL.pattern, line)]
    sure = any(re.search(DISK_FULL.pattern, line) for line in own)
    return where_full("\n".join(full), sure=sure) if full else ""


def _killed() -> str:
    """What SIGKILL means here: for sure where the kernel has counted it."""
    found = memory.read()
    if not found or not found.limit:
        return KILLED.cause
    if found.killed:
        return f"a program was killed by the kernel at this container's memory limit ({found.field})"
    return f"{KILLED.cause} ({found.field})"


def _own(lines: list[str], code: int) -> list[str]:
    """The lines in which podman itself says why it failed."""
    found = [(i, _STEP.match(line)) for i, line in enumerate(lines) if line.startswith("Error: ")]
    if steps := [i for i, step in found if step and int(step[1]) == code]:
        killed = ["Error: exit status 137"] if code == _SIGKILLED else []  # without the step's words
        return [*_not_started(lines[: steps[-1]]), *killed]
    others = [i for i, step in found if not step]
    if not others or lines[-1].startswith(("docker: ", "podman-agent: ")):
        return []
    first = others[-1]
    # the verdict quotes the step that failed, which may have any words in it
    verdict = [re.sub(r'building at STEP ".*": ', "", lines[first]), *lines[first + 1 :]]
    before = lines[:first] if _NAMESPACE.match(lines[first]) else []
    return [*(line for line in before if " level=warning " not in line), *verdict]


def _not_started(before: list[str]) -> list[str]:
    """What kept a RUN step from starting; nothing where its program ran, but that the disk was full when it had."""
    last = len(before)
    while last and _LOGGED.match(before[last - 1]):
        last -= 1
    found = _NOT_STARTED.search("\n".join(before[:last]))
    words = [word for word in found.groups() if word] if found else []
    return [*words, *(line for line in before[last:] if _CLEANING_UP.match(line))]
