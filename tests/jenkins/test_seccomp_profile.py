"""What docs/how-to/seccomp.md says of jenkins/seccomp/podman-agent.json, held against containerd's default profile."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pods.shapes import PROFILE, SECCOMP

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/seccomp.md"
CONTAINERD = json.loads((SECCOMP / "containerd-default.json").read_text())
OURS = json.loads(PROFILE.read_text())
REFUSED = {name for rule in OURS["syscalls"] for name in rule["names"]}
# whatever the arguments are
ALLOWED = {
    name
    for rule in CONTAINERD["syscalls"]
    for name in rule["names"]
    if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
}


def named(start: str, end: str) -> set[str]:
    """The system calls that a passage of the page names."""
    text = DOCUMENT.read_text()
    passage = text[text.index(start) : text.index(end, text.index(start))]
    return set(re.findall(r"`(\w+)`", passage))


def test_the_profile_is_a_list_of_refusals() -> None:
    """A call it does not know is allowed, which is the other way round in containerd's."""
    assert OURS["defaultAction"] == "SCMP_ACT_ALLOW"
    assert {rule["action"] for rule in OURS["syscalls"]} == {"SCMP_ACT_ERRNO"}
    assert CONTAINERD["defaultAction"] == "SCMP_ACT_ERRNO"


def test_what_the_page_says_is_refused_is_refused_by_both() -> None:
    """But for io_uring, which later containerds refuse and the dump of 1.6 in tests/fixtures does not."""
    refused = named("It refuses", "It allows")
    assert len(refused) > 10
    assert refused <= REFUSED
    assert refused & ALLOWED == {"io_uring_setup"}


def test_what_the_page_says_is_allowed_beyond_containerds_is_so() -> None:
    """The calls of namespaces and mounts, and the few others."""
    more = named("It allows", "A call it does not know")
    assert {"unshare", "mount", "keyctl"} <= more
    assert more & REFUSED == set()
    assert more & ALLOWED == set()


def test_nothing_is_refused_that_containerds_profile_lets_through() -> None:
    """Two calls for the clock besides io_uring: they set it, which takes CAP_SYS_TIME anyway."""
    uring = {"io_uring_enter", "io_uring_register", "io_uring_setup"}
    assert {"adjtimex", "clock_adjtime"} | uring == REFUSED & ALLOWED
