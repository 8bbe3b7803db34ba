"""The well-known error texts, verbatim, and texts of users' own builds that must not be taken for them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podman_agent.explain.catalogue import RULES
from podman_agent.explain.cure import cure, explain

if TYPE_CHECKING:
    from podman_agent.explain.explanation import Explanation

# verbatim text -> a word of the cure
KNOWN = {
    "'overlay' is not supported over overlayfs, a mount_program is required": "emptyDir",
    "Error: 'overlay' is not supported over extfs at \"/home/u/.local/share/containers/storage/overlay\"": "privileged",
    "fuse: device not found, try 'modprobe fuse' first": "native overlay",
    "a network file system with user namespaces is not supported.  Please use a mount_program": "block-backed",
    'User-selected graph driver "vfs" overwritten by graph driver "overlay" from database': "empty volume",
    'database graph driver "" does not match our graph driver "overlay"': "empty volume",
    "Error: database static dir \"/a\" does not match our \"/b\": database configuration mismatch": "db.sql",
    "Ignoring global metacopy option, not supported with booted kernel": "nothing",
    "crun: creating cgroup directory `/sys/fs/cgroup/systemd/libpod_parent/x`: No such file or directory": "CGROUPS",
    "mkdir /sys/fs/cgroup/blkio/libpod_parent: read-only file system": "CGROUPS",
    "crun: the requested cgroup controller `pids` is not available": "CGROUPS",
    "The cgroupv2 manager is set to systemd but there is no systemd user session available": "cgroupfs",
    "Error: cannot run top on container abc as it did not create a cgroup": "privileged",
    "Error: cannot pause without using Cgroups: this container does not have a cgroup": "privileged",
    "Error: containers not creating Cgroups must create a private PID namespace: invalid argument": "--pid",
    "Error: requested OCI runtime runc is not compatible with NoCgroups: invalid argument": "crun",
    "opening file `memory.limit_in_bytes` for writing: Read-only file system": "privileged",
    "Resource limits are not supported and ignored on cgroups V1 rootless systems": "nothing",
    "Error: crun: cannot open sd-bus: No such file or directory": "cgroupfs",
    "runc create failed: systemd not running on this host, cannot use systemd cgroups manager": "cgroupfs",
    'msg="Unable to write volume event: \\"write unixgram @04725->/run/systemd/journal/socket"': "EVENTS=file",
    "crun: invalid file system type on `/sys/fs/cgroup`": "ISOLATION=chroot",
    "unable to write pod event: \"write unixgram @001->/run/systemd/journal/socket: sendmsg\"": "EVENTS=file",
    "failed to get journal cursor: failed to get cursor: cannot assign requested address": "EVENTS=file",
    "using --follow with the journald --log-driver but without the journald --events-backend (file) is not supported":
        "k8s-file",
    "crun: setrlimit `RLIMIT_NPROC`: Operation not permitted: OCI permission denied": "default_ulimits",
    "Error: crun: mount `proc` to `proc`: Operation not permitted: OCI permission denied": "/proc",
    "Error: crun: mount `mqueue` to `dev/mqueue`: Operation not permitted: OCI permission denied": "--ipc",
    "Error: OCI runtime error: crun: mount `devpts` to `dev/pts`: Invalid argument": "subuid",
    "Failed to open() /dev/net/tun: No such file or directory": "--network=host",
    "error setting supplemental groups list: operation not permitted": "subuid",
    'error stat()ing intended root directory "/var/tmp/buildah1/mnt/rootfs": no such file or directory': "NOPIVOT",
    "Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all controllers from cgroupv2": "runc",
    "current system boot ID differs from cached boot ID; an unhandled reboot has occurred": "/run/libpod",
    "lock /var/lib/shared/overlay-layers/layers.lock is not a read-only lock": "populate",
    "Error: creating build container: layer not known": "check --quick --repair",
    "Image docker.io/library/x exists in local storage but may be corrupted": "check --quick --repair",
    "Storage for container 1234abcd has been removed": "transient_store",
    'Error: short-name "x" did not resolve to an alias and no unqualified-search registries are defined': "whole name",
    "Error: short-name resolution enforced but cannot prompt without a TTY": "whole name",
    "credentials key has https[s]:// prefix": "without https",
    "received unexpected HTTP status: 502 Bad Gateway": "tried again",
    "Error: writing blob: uploading layer chunked: unexpected EOF": "tried again",
    "Error: uploading layer chunked: StatusCode: 502, \"<html>\"": "tried again",
    "Error: reading manifest 1 in r/x: invalid status code from registry 503 (Service Unavailable)": "tried again",
    "HEALTHCHECK is not supported for OCI image format and will be ignored. Must use `docker` format": "docker",
    "Error: cannot set --network other than host with --isolation chroot": "--network",
    "Error: unknown flag: --cgroup-manager": "CONTAINER_HOST",
    "Error: unrecognized command `podman buildx imagetools`": "docker",
    "Error: unknown flag: --push": "docker",
    "Error: unknown flag: --driver": "docker",
    'Error: failed to parse build output: invalid type "image" selected for build output options "x"': "docker",
    'Error: failed to parse build output: unrecognized key "push" in build output option: "push=true,dest=x"': "docker",
    'invalid repo "type=registry,ref=localhost/x": must contain registry and repository': "docker",
    "Error: looking up compose provider failed": "docker-compose",
    "running `/usr/bin/newuidmap 42 0 1000 1`: newuidmap: write to uid_map failed: Operation not permitted":
        "allowPrivilegeEscalation",
    'Error: cannot set up namespace using "/usr/bin/newuidmap": exit status 1': "allowPrivilegeEscalation",
    "Error: cannot write uid_map: write /proc/25/uid_map: operation not permitted": "SETFCAP",
    "unpacking failed (error: exit status 1; output: after fallback to chroot: operation not permitted)": "SYS_CHROOT",
    "newuidmap: subuid overflow detected.": "65536",
    'Error: cannot set up namespace using "/usr/bin/newgidmap": should have setuid or have filecaps setuid':
        "allowPrivilegeEscalation",
    "Error: cannot re-exec process": "doctor --deep",
    "newuidmap: uid range [0-1) -> [1000-1001) not allowed": "65536",
    "newgidmap: gid range [1-65536) -> [100000-165535) not allowed": "65536",
    "/usr/bin/newgidmap should have setuid or have filecaps setuid": "allowPrivilegeEscalation",
    'cannot find UID/GID for user u: no subuid ranges found for user "u" in /etc/subuid': "subgid",
    "potentially insufficient UIDs or GIDs available in user namespace (requested 0:42 for /etc/gshadow)": "subgid",
    "cannot clone: Operation not permitted": "Localhost",
    "Error during unshare(CLONE_NEWUSER): Operation not permitted": "Localhost",
    "error running container: creating new mount namespace for [/bin/sh -c echo hi]: operation not permitted":
        "Localhost",
    "stat /.config: no such file or directory": "HOME",
    "Error: cannot resolve /home/gone: lstat /home/gone: no such file or directory": "HOME",
    "Error: open /run/lock/netavark.lock: read-only file system": "/run",
    "creating network namespace for container 01bb: mkdir /run/netns: read-only file system": "/run",
    "Error: tag [::1]:33847/a/b:1: invalid reference format": "localhost",
    "Error: copying system image from manifest list: writing blob: write /var/tmp/x: no space left on device": "gc",
}  # fmt: skip
# the error texts of section B of the research (podman-in-pods.md) and its fact 8, as they stand there
RESEARCH = (
    "'overlay' is not supported over overlayfs, a mount_program is required",
    "'overlay' is not supported over extfs at ...",
    "fuse: device not found, try 'modprobe fuse'",
    "a network file system with user namespaces is not supported. Please use a mount_program",
    'User-selected graph driver "vfs" overwritten by graph driver "overlay" from database',
    'database graph driver "" does not match our graph driver "overlay": database configuration mismatch',
    "Ignoring global metacopy option",
    "crun: creating cgroup directory /sys/fs/cgroup/...: Permission denied",
    "crun: creating cgroup directory /sys/fs/cgroup/...: No such file",
    "the requested cgroup controller pids is not available",
    "The cgroupv2 manager is set to systemd but there is no systemd user session",
    "cannot run top on container %s as it did not create a cgroup",
    "unable to write pod event: ... /run/systemd/journal/socket",
    "failed to get journal cursor",
    "--follow with journald ... not supported",
    "crun: setrlimit RLIMIT_NPROC: Operation not permitted",
    "crun: setrlimit RLIMIT_NOFILE: Operation not permitted",
    "crun: mount proc to proc: Operation not permitted",
    "cgroups in hybrid mode not supported",
    "layer not known",
    "lock ... is not a read-only lock",
    "Storage for container ... has been removed",
    "current system boot ID differs from cached boot ID; an unhandled reboot has occurred.",
    "top layer ... not found in layer tree",
    "Image ... exists in local storage but may be corrupted",
    "short-name resolution enforced but cannot prompt without a TTY",
    "credentials key has https[s]:// prefix",
    "HEALTHCHECK is not supported for OCI image format and will be ignored",
    "SHELL is not supported for OCI image format and will be ignored",
    "ONBUILD is not supported for OCI image format and will be ignored",
    "cannot set --network other than host with --isolation chroot",
    "newuidmap: Operation not permitted",
    "unshare(CLONE_NEWUSER): Operation not permitted",
    'invalid repo "type=registry,ref=localhost/x"',
    "Error: unknown flag: --cgroup-manager",
)
OWN = (
    "sudo: a password is required",
    "prlimit: failed to set the NOFILE resource limit: Operation not permitted",
    "could not select device driver with capabilities: [[gpu]]",
    "RuntimeError: No CUDA GPUs are available",
    "nsenter: reassociate to namespaces failed: Operation not permitted",
    "setns: Operation not permitted",
    "ping: unknown host r.example",
    "ping: bad address 'r.example'",
    "Killed",
    "subprocess exited on terminated",
    "make: *** [all] Killed",
    'Error: building at STEP "RUN x": while running runtime: exit status 143',
    "the node was replaced by a shallower one",
    "chown: changing ownership of '/x': Invalid argument",
    "chown: invalid user: 'app'",
    "/dev/net/tun",
    "Cannot open TUN/TAP dev /dev/net/tun: No such file or directory",
    "http: server returned HTTP response to a request",
    "AssertionError: expected unexpected status code: 502",
    "npm ERR! unexpected status code: 503",
    "HTTP/1.1 unexpected status 200, expected: 500",
    "error reading registry file: unexpected EOF",
    "cannot resolve /app/x: lstat /app/x: no such file or directory",
    "Error: mkdir /run/secrets: read-only file system",
    "ERROR: top layer of image is not found",
    "make: *** [Makefile:3: all] Error 1",
    "cp: cannot create regular file '/usr/share/x': Permission denied",
    "E: Unable to locate package no-such-package",
    "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
    "npm ERR! 502 Bad Gateway - GET https://registry.example.com/left-pad",
    "java.io.EOFException: unexpected EOF",
    "mount: /mnt: permission denied.",
    "open /app/config.yml: read-only file system",
    "error: unexpected EOF while looking for matching `\"'",
    'Error: building at STEP "RUN false": while running runtime: exit status 1',
    "unshare: unshare failed: Operation not permitted",
    "ls: cannot access '/home/x': No such file or directory",
    "error: unknown flag: --colour",
    "npm ERR! code E401",
    "npm ERR! 404 Not Found - GET https://registry.example.com/x - not_found",
    "remote: HTTP Basic: Access denied",
    "curl: (60) SSL certificate problem: unable to get local issuer certificate",
    'go: x@v1: Get "https://p.example/": tls: failed to verify certificate: x509: signed by unknown authority',
    "curl: (6) Could not resolve host: r.example",
    "dial tcp: lookup db on 10.96.0.10:53: no such host",
    "psycopg2.OperationalError: connection refused",
    "Error: connect ECONNREFUSED 127.0.0.1:5432, connection reset by peer",
    "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests",
    "pip: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES, digest did not match",
    "context deadline exceeded",
    "write unix ->/tmp/x.sock: broken pipe",
)


@pytest.mark.parametrize("text", KNOWN)
def test_a_known_text_names_its_cure(text: str) -> None:
    """Verbatim, as podman, crun or buildah wrote it."""
    (_, first), *_ = explain([text])
    assert KNOWN[text] in first.cure


@pytest.mark.parametrize("text", RESEARCH)
def test_every_text_of_the_research_is_known(text: str) -> None:
    """Its ellipses stand for names."""
    assert list(explain([text]))


def test_every_text_of_the_readmes_first_table_is_known() -> None:
    """What it says is decided instead, `explain` can say, too."""
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    table = readme.split("| what podman would say |")[1].split("\n\n")[0]
    texts = [text for row in table.splitlines()[2:] for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(texts) == 7
    for text in texts:
        said = text.replace("… over", "'overlay' is not supported over")
        assert list(explain([said])), said


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
def test_a_rules_own_text_is_explained_by_it(rule: Explanation) -> None:
    """A rule nobody has seen matching is no knowledge."""
    assert [found for _, found in explain([rule.text])] == [rule]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
def test_no_rule_takes_a_builds_own_words(rule: Explanation) -> None:
    """The pod is not blamed for a build that is wrong."""
    assert [text for text in OWN if re.search(rule.pattern, text)] == []


def test_a_log_is_told_each_cause_once() -> None:
    """A failed build repeats itself."""
    assert len(list(explain(["cannot clone: Operation not permitted"] * 3))) == 1


def full(words: str, *, sure: bool) -> str:
    return f"podman-agent gc, {'sure' if sure else 'perhaps'}: {words.splitlines()[0][:9]}"


STEP_FAILED = 'Error: building at STEP "RUN make": while running runtime: exit status 2'
# verbatim, of podman 5.4.2 in pods: a step that was not started
PROC = """error running container: from /usr/bin/crun creating container for [/bin/sh -c echo hi]: \
mount `proc` to `proc`: Operation not permitted
: exit status 1
time="2026-11-25T13:10:32Z" level=error msg="did not get container create message from subprocess: EOF"
Error: building at STEP "RUN echo hi": while running runtime: exit status 1
"""
HERE_DOCUMENT = """error running container: from /usr/bin/crun creating container for [/bin/sh -c
echo x >&2
layer not known]: setrlimit `RLIMIT_NOFILE`: Operation not permitted
: exit status 1
Error: building at STEP "RUN <<E": while running runtime: exit status 1
"""
CHROOT = """error setting supplemental groups list: operation not permitted
subprocess exited with status 1
Error: building at STEP "RUN true": exit status 1
"""
MOUNTS = """error running subprocess: creating new mount namespace for [/bin/sh -c true]: operation not permitted
Error: building at STEP "RUN true": exit status 1
"""
KILLED_IN_CHROOT = """subprocess exited on killed
subprocess exited with status 1
Error: building at STEP "RUN tail /dev/zero": exit status 1
"""
TOO_MANY_FILES = """Error: building at STEP "RUN echo ok": setting "RLIMIT_NOFILE" limit to soft=9999999,hard=9999999 \
(was soft=20000,hard=20000): operation not permitted
"""
CHOWNED = """Error: building at STEP "COPY --chown=1000:1000 D /x": storing "/tmp/D": error during bulk transfer: \
copier: put: error setting ownership of "/x" to 1000:1000: lchown /x: invalid argument
"""
CLONE = "cannot clone: Operation not permitted\nError: cannot re-exec process\n"
NEWUIDMAP = """time="2026-11-25T00:00:00Z" level=error msg="running `/usr/bin/newuidmap 42 0 1000 1`: newuidmap: \
write to uid_map failed: Operation not permitted\\n"
Error: cannot set up namespace using "/usr/bin/newuidmap": exit status 1
"""


@pytest.mark.parametrize(
    ("said", "code", "word"),
    [
        (f"container exited on killed\n{STEP_FAILED.replace('status 2', 'status 1')}\n", 1, "memory limit"),
        (KILLED_IN_CHROOT, 1, "memory limit"),
        (f"Killed\n{STEP_FAILED.replace('status 2', 'status 137')}\n", 137, "memory limit"),
        (TOO_MANY_FILES, 125, "SYS_RESOURCE"),
        (CHOWNED, 125, "drop --chown"),
        ("STEP 1/2: FROM busybox\nError: creating build container: layer not known\n", 125, "check --quick"),
        ("Error: 2 errors occurred while pulling:\n\t* reading blob sha256:1: unexpected EOF\n", 125, "tried again"),
        (
            "Error: setting up Pasta: pasta failed with exit code 1:\nFailed to open() /dev/net/tun: x\n",
            127,
            "--network",
        ),
        (PROC, 1, "masks parts of /proc"),
        (HERE_DOCUMENT, 1, "hard limits"),
        (CHROOT, 1, "subuid"),
        (MOUNTS, 1, "Localhost"),
        (CLONE, 125, "Localhost"),
        (NEWUIDMAP, 125, "newuidmap"),
        (f"cc: error writing /tmp/x.o: No space left on device\n{STEP_FAILED}\n", 2, "gc, perhaps: cc: error"),
        (f"Error: No space left on device\n{STEP_FAILED}\n", 2, "gc, perhaps: Error: No"),
        (
            "Error: writing blob: storing: write /var/tmp/x: no space left on device",
            125,
            "gc, sure: Error",
        ),
        # another build ended in the same log
        ("Error: creating build container: layer not known\n" + STEP_FAILED, 125, "check --quick"),
    ],
)
def test_podmans_failure_has_a_cure_of_one_line(said: str, code: int, word: str) -> None:
    """The line that the shim adds."""
    told = cure(said, code, full)
    assert word in told
    assert "\n" not in told


WARNED = 'time="2026-11-25T00:00:00Z" level=warning msg='
WORDS = (
    "Error: received unexpected HTTP status: 502 Bad Gateway",
    "Error: creating build container: layer not known",
    "Error: stat /.config: no such file or directory",
    "cannot clone: Operation not permitted",
    'time="2026-11-25T00:00:00Z" level=error msg="cannot clone: Operation not permitted"',
    # podman's own, but it went on
    f'{WARNED}"HEALTHCHECK is not supported for OCI image format and will be ignored. Must use `docker` format"',
    f'{WARNED}"Ignoring global metacopy option, not supported with booted kernel"',
    f'{WARNED}"Failed, retrying in 1s ... (1/3). Error: received unexpected HTTP status: 503 Service Unavailable"',
    f"{PROC.strip()}",
)


@pytest.mark.parametrize("words", WORDS)
def test_a_step_that_failed_by_itself_is_given_no_cure(words: str) -> None:
    """Whatever was said before, by the step or as a warning, with each isolation."""
    assert cure(f"{words}\n{STEP_FAILED}\n", 2, full) == ""
    ended = "subprocess exited with status 2\n" * 2
    assert cure(f'{words}\n{ended}Error: building at STEP "RUN make": exit status 2\n', 2, full) == ""


@pytest.mark.parametrize("words", WORDS)
def test_an_earlier_steps_words_are_not_taken_for_podmans(words: str) -> None:
    """When podman then fails on something else."""
    failed = 'Error: building at STEP "COPY a /": copier: stat: "/a": no such file or directory'
    assert cure(f"{words}\ncompiled\n{failed}\n", 125, full) == ""


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("", 1),
        (STEP_FAILED, 2),
        (f"container exited on killed\nmore\n{STEP_FAILED}", 2),
        ('Error: building at STEP "RUN exit status 137": while running runtime: exit status 1', 1),
        ("Error: creating build container: layer not known\n" + STEP_FAILED, 2),
        (STEP_FAILED + "\nError: creating build container: layer not known", 2),  # another build's
        ("Error: layer not known\npodman-agent: registry.example.com is not reachable", 69),
        ("docker: layer not known", 125),
        ("Error: no such container abc", 125),
        # an error of podman's, but not why it failed
        ('time="x" level=error msg="Unable to write volume event: journal"\nError: no such volume abc', 125),
    ],
)
def test_an_error_of_the_users_gets_no_line(said: str, code: int) -> None:
    """And what the agent has said already is not said again."""
    assert cure(said, code, full) == ""


def test_what_a_containers_program_says_is_its_own() -> None:
    """`docker run` ends with its exit code."""
    assert cure("Error: layer not known", 1, full, by_program=True) == ""
    assert "perhaps" in cure("Error: x: no space left on device", 1, full, by_program=True)


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])  # as en_US.UTF-8 has it, which not all install
def test_a_log_of_any_encoding_is_read(encoding: str) -> None:
    """A step may print Latin-1, and the line that is known may hold some."""
    done = subprocess.run(
        [sys.executable, "-m", "podman_agent.cli", "explain"],
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "pylib"), "PYTHONIOENCODING": encoding},
        input=b"caf\xe9\nError: caf\xe9: layer not known\n",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"check --quick" in done.stdout
