"""A Dockerfile as BuildKit splits it, every part with its place in the source.

Source: BuildKit's ``frontend/dockerfile/parser`` (parser.go, directives.go, split_command.go). Nothing is changed or
expanded here; what cannot be split with certainty is `UnsureError`, and then podman decides.
"""

from __future__ import annotations

import bisect
import json
import re
from typing import NamedTuple

_HEREDOC_IN = frozenset(("add", "copy", "run"))
_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = frozenset(("syntax", "check", "escape"))
_KEYWORD = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_BOM = "\ufeff"


class UnsureError(Exception):
    """Something whose meaning is not proven here: podman is given the file as it is."""


class Flag(NamedTuple):
    """A ``--name=value`` of an instruction.

    Attributes:
        text: Without quotes and escapes.
        span: Its place in `Instruction.text`.
    """

    text: str
    span: tuple[int, int]

    @property
    def name(self) -> str:
        """With its dashes, without the value."""
        return self.text.partition("=")[0]

    @property
    def value(self) -> str:
        """Behind the first ``=``; empty without one."""
        return self.text.partition("=")[2]


class Heredoc(NamedTuple):
    """A here-document.

    Attributes:
        name: What ends it.
        body: Its place in the source, without the line that ends it.
    """

    name: str
    body: tuple[int, int]


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
        line: Where it begins, counted from 1.
        keyword: In lower case.
        flags: In their order.
        rest: What follows the flags, without space around it.
        rest_at: Where that begins in `text`.
        text: The whole instruction in one line, continuation lines joined.
        pieces: Where the parts of `text` come from: (place in `text`, place in the source), rising.
        heredocs: In their order.
    """

    line: int
    keyword: str
    flags: tuple[Flag, ...]
    rest: str
    rest_at: int
    text: str
    pieces: tuple[tuple[int, int], ...]
    heredocs: tuple[Heredoc, ...] = ()

    def place(self, at: int) -> int:
        """The place in the source of a character of `text`."""
        piece = self.pieces[bisect.bisect_right(self.pieces, (at, 1 << 62)) - 1]
        return piece[1] + at - piece[0]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the source that a part of `text` covers; what is between its lines belongs to it."""
        return (self.place(start), self.place(end - 1) + 1) if end > start else (self.place(start),) * 2

    def array(self) -> list[str] | None:
        """The words of the JSON form; None in the shell form."""
        if not self.rest.startswith("["):
            return None
        try:
            words = json.loads(self.rest)
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None

    def words(self) -> list[str]:
        """The arguments of ADD, COPY and FROM, before expansion."""
        found = self.array()
        return self.rest.split() if found is None else found


class Dockerfile(NamedTuple):
    """The parsed file.

    Attributes:
        source: Its text; `instructions` and `doubled` point into it.
        escape: The escape character.
        escape_line: The line of the directive that says so; 0 without one.
        instructions: All of them.
        doubled: Lines that end with the escape character twice: BuildKit ends the instruction there, podman does not.
    """

    source: str
    escape: str
    escape_line: int
    instructions: tuple[Instruction, ...]
    doubled: tuple[int, ...]


def parse(data: bytes) -> Dockerfile:
    """Split a Dockerfile.

    Args:
        data: The file.

    Raises:
        UnsureError: Its meaning is not proven here.
    """
    source = data.decode("utf-8", "surrogateescape")
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: list[tuple[int, str]] = []
        at = 0
        for raw in source.split("\n"):
            self.lines.append((at, raw.rstrip("\r")))
            at += len(raw) + 1
        if not self.lines[-1][1]:
            self.lines.pop()
        if self.lines and self.lines[0][1].startswith(_BOM):
            self.lines[0] = (1, self.lines[0][1][1:])
        self.escape, self.escape_line = self._directives()
        sign = re.escape(self.escape)
        self.again = re.compile(rf"(?:(?<!{sign})|^){sign}[ \t]*$")
        self.twice = re.compile(rf"{sign}{sign}[ \t]*$")
        self.doubled: list[int] = []
        self.next = 0

    def _directives(self) -> tuple[str, int]:
        seen: dict[str, tuple[str, int]] = {}
        for number, (_, line) in enumerate(self.lines, 1):
            text = line.lstrip()
            match = _DIRECTIVE.fullmatch(text[1:].lstrip()) if text.startswith("#") else None
            if match is None or match[1].lower() not in _DIRECTIVES:
                break
            if match[1].lower() in seen:
                msg = f"line {number}: a second directive {match[1]}"
                raise UnsureError(msg)
            seen[match[1].lower()] = (match[2], number)
        escape, number = seen.get("escape", ("\\", 0))
        if escape not in {"\\", "`"}:
            msg = f"line {number}: no such escape character"
            raise UnsureError(msg)
        return escape, number

    def parse(self) -> Dockerfile:
        found = []
        while self.next < len(self.lines):
            if (one := self._instruction()) is not None:
                found.append(one)
        if not found:
            msg = "no instructions"
            raise UnsureError(msg)
        return Dockerfile(self.source, self.escape, self.escape_line, tuple(found), tuple(self.doubled))

    def _instruction(self) -> Instruction | None:
        start = self.next
        at, line = self.lines[start]
        self.next += 1
        stripped = line.lstrip()
        at += len(line) - len(stripped)
        part, more = self._continued("" if stripped.startswith("#") else stripped)
        if not part and not more:
            return None
        text, pieces = part, [(0, at)]
        while more and self.next < len(self.lines):
            at, line = self.lines[self.next]
            self.next += 1
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            part, more = self._continued(line)
            if part:
                pieces.append((len(text), at))
                text += part
        one = self._split(text, tuple(pieces), start + 1)
        return one._replace(heredocs=self._heredocs(one))

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without the sign of continuation, and whether it had one."""
        if self.twice.search(line):
            self.doubled.append(self.next)
        match = self.again.search(line)
        return (line[: match.start()], True) if match else (line, False)

    def _split(self, text: str, pieces: tuple[tuple[int, int], ...], line: int) -> Instruction:
        """``splitCommand``: keyword, flags, rest."""
        begin = len(text) - len(text.lstrip())
        match = _KEYWORD.search(text.rstrip(), begin)
        if match is None:
            return Instruction(line, text.strip().lower(), (), "", len(text), text, pieces)
        flags, at = self._flags(text, match.end())
        while at < len(text) and text[at].isspace():
            at += 1
        return Instruction(line, text[begin : match.start()].lower(), flags, text[at:].rstrip(), at, text, pieces)

    def _flags(self, text: str, at: int) -> tuple[tuple[Flag, ...], int]:
        """``extractBuilderFlags``."""
        found: list[Flag] = []
        while True:
            while at < len(text) and text[at].isspace():
                at += 1
            if not text.startswith("--", at):
                return tuple(found), at
            start, word, quote = at, "", ""
            while at < len(text) and (quote or not text[at].isspace()):
                char = text[at]
                at += 1
                if char == quote:
                    quote = ""
                elif not quote and char in {"'", '"'}:
                    quote = char
                elif char != self.escape:
                    word += char
                elif at < len(text):
                    word += text[at]
                    at += 1
            if word == "--":
                return tuple(found), at
            found.append(Flag(word, (start, at)))

    def _heredocs(self, one: Instruction) -> tuple[Heredoc, ...]:
        held = one
        if one.keyword == "onbuild" and one.rest:
            held = self._split(one.rest, ((0, 0),), one.line)
        if held.keyword not in _HEREDOC_IN or held.array() is not None or "<<" not in one.text:
            return ()
        found = []
        for word in _shell_words(one.text, one.line):
            match = _HEREDOC.fullmatch(word)
            if match is None or not match[3]:
                continue
            found.append(self._body(_plain(match[3], one.line), chomp=bool(match[2]), line=one.line))
        return tuple(found)

    def _body(self, name: str, *, chomp: bool, line: int) -> Heredoc:
        start = self.lines[self.next][0] if self.next < len(self.lines) else len(self.source)
        while self.next < len(self.lines):
            at, text = self.lines[self.next]
            self.next += 1
            if (text.lstrip("\t") if chomp else text) == name:
                return Heredoc(name, (start, at))
        msg = f"line {line}: heredoc {name} has no end"
        raise UnsureError(msg)


def _plain(word: str, line: int) -> str:
    """The name of a heredoc: in quotes or not, but one plain word."""
    if len(word) > 2 and word[0] == word[-1] and word[0] in "'\"":
        word = word[1:-1]
    if not _PLAIN_WORD.fullmatch(word):
        msg = f"line {line}: a heredoc whose name is no plain word"
        raise UnsureError(msg)
    return word


def _shell_words(line: str, number: int) -> list[str]:
    """Words with their quotes and escapes, as BuildKit's shell lexer gives them with RawQuotes and RawEscapes."""
    words, word, quote, at = [], "", "", 0
    while at < len(line):
        char = line[at]
        at += 1
        if char == "\\" and quote != "'" and at < len(line):
            word += char + line[at]
            at += 1
        elif quote:
            word += char
            quote = "" if char == quote else quote
        elif char in "'\"":
            word += char
            quote = char
        elif char.isspace():
            words += [word] if word else []
            word = ""
        else:
            word += char
    if quote:
        msg = f"line {number}: `<<` beside a quote that has no end"
        raise UnsureError(msg)
    return words + ([word] if word else [])
