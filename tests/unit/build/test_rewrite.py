"""What podman is told in other words. What BuildKit means is in its ``instructions`` and ``dockerfile2llb``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podman_agent.build.rewrite import Asked, rewrite
from podman_agent.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

BASE = "FROM busybox\n"


def new(text: str, *, target: str | None = None, context: Path | None = None, isolated: bool = True) -> str:
    """The rewritten file."""
    return rewrite(text.encode(), Asked("D", target, context, isolated)).data.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "FROM x AS Builder\nFROM y\nCOPY --from=builder /a /b",
            "FROM x AS builder\nFROM y\nCOPY --from=builder /a /b",
        ),
        ("FROM x AS b\nFROM y\nCOPY --from=B /a /b", "FROM x AS b\nFROM y\nCOPY --from=b /a /b"),
        ("FROM x AS Bx\nFROM bX as d", "FROM x AS bx\nFROM bx as d"),
        (
            "FROM x as B\nFROM y\nRUN --mount=from=B,target=/m a",
            "FROM x as b\nFROM y\nRUN --mount=from=b,target=/m a",
        ),
        (BASE + "COPY --link a b", BASE + "COPY  a b"),
        (BASE + "ADD --link=true \\\n  a b", BASE + "ADD  \\\n  a b"),
        (BASE + "COPY --link \\\n# why\n --chown=1 a b", BASE + "COPY  \\\n# why\n --chown=1 a b"),
        (BASE + "COPY --chmod=u=rwx,go=rx a b", BASE + "COPY --chmod=0755 a b"),
        (BASE + "COPY --chmod==r a b", BASE + "COPY --chmod=0444 a b"),
        (
            BASE + "RUN --mount=type=tmpfs,target=/a,size=5m x",
            BASE + "RUN --mount=type=tmpfs,target=/a,tmpfs-size=5m x",
        ),
        (
            BASE + "RUN --mount=type=secret,source=s,target=/a x",
            BASE + "RUN --mount=type=secret,id=s,target=/a x",
        ),
        (BASE + "RUN --mount=type=secret,target=/a/s x", BASE + "RUN --mount=type=secret,target=/a/s,id=s x"),
        (BASE + "RUN --security=sandbox --network=default x", BASE + "RUN   x"),
        (BASE + "ADD --keep-git-dir=false a b", BASE + "ADD  a b"),
        (BASE + "ADD --unpack=false a b", BASE + "COPY  a b"),
        (BASE + "COPY --exclude=*.md d e /p/", BASE + "COPY --exclude=d/*.md --exclude=e/*.md d e /p/"),
        (BASE + "COPY --exclude=!a ./d/ /p/", BASE + "COPY --exclude=!d/a ./d/ /p/"),
        (
            BASE + "RUN a\nUSER b\nWORKDIR /w \nCOPY a .\nCMD x",
            BASE + "RUN a\nUSER b\nWORKDIR /w\nRUN : \nCOPY a .\nCMD x",
        ),
        (
            BASE + "RUN a\nUSER b\nWORKDIR /w\nWORKDIR x\nUSER root\nWORKDIR /v",
            BASE + "RUN a\nUSER b\nWORKDIR /w\nWORKDIR x\nRUN :\nUSER root\nWORKDIR /v",
        ),
        (
            BASE + "RUN a\nUSER 1:2\nWORKDIR /w\nWORKDIR /v\nRUN a",
            BASE + "RUN a\nUSER 1:2\nWORKDIR /w\nRUN :\nWORKDIR /v\nRUN a",
        ),
        (BASE + "RUN a\nUSER b\nWORKDIR /w", BASE + "RUN a\nUSER b\nWORKDIR /w\nRUN :"),
        ("# syntax=x\n# escape=`\nFROM a\nRUN b `\n c", "# escape=`\n# syntax=x\n# escape=`\nFROM a\nRUN b `\n c"),
        ("\ufeff# syntax=x\n# escape=`\nFROM a", "\ufeff# escape=`\n# syntax=x\n# escape=`\nFROM a"),
    ],
)
def test_the_same_in_podmans_words(before: str, after: str) -> None:
    assert new(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "# syntax=docker/dockerfile:1\nFROM a AS b\nCOPY --from=b --chmod=0755 x y\n",
        BASE + "ONBUILD COPY --link a b",  # the image has the line as it was written
        BASE + "COPY --from=Registry.example/A x y",
        BASE + "COPY --exclude=*.md . /p/",
        BASE + "RUN --mount=type=cache,target=/x,size=1 --mount=type=bind,target=/y a",
        BASE + "RUN --network=none a",
        BASE + "USER b\nWORKDIR /w\nCOPY a .",  # it may have no shell
        BASE + "USER b\nWORKDIR /w\nENV A=B\nRUN a",
        BASE + "USER root\nWORKDIR /w\nUSER 0:0\nWORKDIR /v\nRUN a\nCOPY a .",
        BASE + "COPY --chmod=$MODE a b",
        "FROM a AS 1b\nCOPY --link a b",  # BuildKit refuses the name: podman says what it thinks of it
        BASE + "RUN <<E\nCOPY --link a b\nE\n",
        "nonsense",
    ],
)
def test_the_users_own_bytes(text: str) -> None:
    assert new(text) == text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("RUN --security=insecure a", "entitlements"),
        ("RUN --device=x/y=z a", "devices"),
        ("ADD --keep-git-dir=true https://example.com/a.git /a", ".git"),
        ("ADD --unpack=true https://example.com/a.tar /a", "unpacks"),
        ("COPY --chmod=+x a /b", "several"),
        ("COPY --parents a/*/b /c", "no such COPY"),
        ("COPY --parents --from=0 a/b /c", "no such COPY"),
        ('RUN --mount=type=secret,id=s,env=T ["x"]', "no shell"),
        ("RUN --mount=type=secret,id=s,env=T <<E cat\na\nE", "heredoc"),
        ("RUN a \\\\", "goes on"),
    ],
)
def test_what_podman_cannot_do_names_its_line(line: str, why: str) -> None:
    with pytest.raises(RefusalError, match=r"^D:3: .*") as raised:
        new(f"FROM a AS b\nFROM c\n{line}\n")
    assert why in raised.value.why
    assert raised.value.fix


def test_what_no_stage_of_the_target_needs_is_not_refused() -> None:
    text = "FROM a AS b\nFROM c AS d\nRUN --security=insecure x\nFROM b\n"
    assert new(text) == text
    with pytest.raises(RefusalError):
        new(text, target="D")


def test_a_target_is_found_in_any_case() -> None:
    assert rewrite(b"FROM a AS Bx\nFROM c\n", Asked("D", "bX")) == (b"FROM a AS bx\nFROM c\n", "bx")


def test_a_step_without_network_is_never_given_the_pods() -> None:
    with pytest.raises(RefusalError, match=r"^D:2: RUN --network=none: .*pod's own network"):
        new(BASE + "RUN --network=none a", isolated=False)


def test_a_change_of_one_file_s_mode_is_one_mode(tmp_path: Path) -> None:
    for name, mode in {"a": 0o644, "b": 0o600}.items():
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert new(BASE + "COPY --chmod=+x,go-w a /", context=tmp_path).endswith("COPY --chmod=0755 a /")
    assert new(BASE + "COPY --chmod=u=rwX,go= b /", context=tmp_path).endswith("COPY --chmod=0600 b /")
    with pytest.raises(RefusalError):
        new(BASE + "COPY --chmod=+x a b /", context=tmp_path)


def test_parents_become_one_copy_each(tmp_path: Path) -> None:
    for name in ("x/y/a", "z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for directory in (tmp_path / "x", tmp_path / "x/y"):
        directory.chmod(0o755)
    text = BASE + "COPY --parents --chown=1:1 x/./y/a z \\\n  /d/\nRUN b\n"
    both = 'COPY --chown=1:1 ["x/y/a", "/d/y/a"]\nCOPY --chown=1:1 ["z", "/d/z"]\n'
    assert new(text, context=tmp_path) == BASE + both + "RUN b\n"
    (tmp_path / "x/y").chmod(0o700)  # BuildKit would keep it
    with pytest.raises(RefusalError):
        new(text, context=tmp_path)


def test_a_secret_in_a_variable_is_read_from_a_file() -> None:
    read = 'if [ -e {0} ]; then T="$(cat {0}; printf x)"; export T="${{T%x}}"; fi'.format(
        "/run/secrets/podman-agent-env-T"
    )
    mount = "--mount=type=secret,id=s,target=/run/secrets/podman-agent-env-T,mode=0444"
    assert new(BASE + "RUN --mount=type=secret,id=s,env=T \\\n a && b") == f"{BASE}RUN {mount} \\\n {read}; a && b"
    assert new(BASE + "RUN --mount=type=secret,id=s,env=T <<E\na\nE") == f"{BASE}RUN {mount} <<E\n{read}\na\nE"


def test_a_shell_that_cannot_read_it_is_refused() -> None:
    with pytest.raises(RefusalError, match="pwsh"):
        new(BASE + 'SHELL ["pwsh", "-c"]\nRUN --mount=type=secret,id=s,env=T a')


WORDS = st.sampled_from(
    ["RUN a \\", " && b", "# x", "", "RUN --mount=type=cache,target=/c a", "COPY a b", "COPY --from=0 a b", "ENV A=B",
     "ONBUILD RUN x", "RUN <<E", "E", 'CMD ["a"]', "USER 1", "x", "\t\t", "LABEL ä=ö", "copy --chown=1 a b\r"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_what_needs_no_change_keeps_every_byte(lines: list[str], end: str) -> None:
    text = end.join(["FROM busybox", *lines])
    assert rewrite(text.encode(), Asked("D")).data == text.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_podmans_affair(data: bytes) -> None:
    try:
        assert rewrite(data, Asked("D")).data == data
    except RefusalError:
        assert b"\\\\" in data or b"--" in data


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_an_edit_touches_its_own_line_only(before: list[str], after: list[str]) -> None:
    """The lines around a `--link` stay as they were, whatever they are."""
    line = "COPY --link keep-me /there"
    text = "\n".join(["FROM busybox", *before, "RUN true", line, *after])
    assert new(text) in {text, text.replace(line, "COPY  keep-me /there")}
