"""Reads a command line the way docker's flag library (spf13/pflag) does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Spec(NamedTuple):
    """The flags of one verb.

    Attributes:
        values: Long flags that take a value, without dashes.
        booleans: Long flags that take none.
        short: One-letter flags and the long flag each stands for.
        interspersed: Whether flags may follow the first operand (not so for ``run``).
    """

    values: frozenset[str]
    booleans: frozenset[str]
    short: Mapping[str, str]
    interspersed: bool = True


class Option(NamedTuple):
    """One flag as given; `value` is None for a boolean without ``=``."""

    name: str
    value: str | None

    @property
    def on(self) -> bool:
        """What a boolean flag says (https://pkg.go.dev/strconv#ParseBool)."""
        return (self.value or "true").lower() in {"1", "t", "true"}

    def tokens(self) -> list[str]:
        """The flag as podman reads it."""
        return [f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"]


class Parsed(NamedTuple):
    """A command line taken apart; order is kept within each part."""

    options: list[Option]
    operands: list[str]

    def get(self, name: str) -> str | None:
        """The value of the last flag of this name, or None."""
        return next((o.value for o in reversed(self.options) if o.name == name), None)

    def all(self, name: str) -> list[str]:
        """The values of all flags of this name."""
        return [o.value or "" for o in self.options if o.name == name]

    def has(self, *names: str) -> bool:
        """Whether one of these flags is given, and not as ``=false``."""
        return any(o.name in names and (o.value is None or o.value != "false") for o in self.options)

    def without(self, *names: str) -> list[Option]:
        """The other flags."""
        return [o for o in self.options if o.name not in names]


def words(text: str) -> frozenset[str]:
    """A set of flag names out of a text."""
    return frozenset(text.split())


def letters(text: str) -> dict[str, str]:
    """One-letter flags out of ``t=tag f=file``."""
    return dict(pair.split("=", 1) for pair in text.split())


def parse(args: list[str], spec: Spec) -> Parsed:
    """Take a command line apart.

    A flag that is in no list is kept as it stands: with ``=`` it is complete, else it counts as
    boolean, so podman is the one that refuses it.

    Args:
        args: What follows the verb.
        spec: The verb's flags.

    Returns:
        Flags and operands.
    """
    options: list[Option] = []
    operands: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            operands.extend(rest)
        elif arg.startswith("--"):
            name, given, value = arg[2:].partition("=")
            if given:
                options.append(Option(name, value))
            else:
                options.append(Option(name, next(rest, "") if name in spec.values else None))
        elif arg.startswith("-") and len(arg) > 1:
            options.extend(_cluster(arg[1:], rest, spec))
        else:
            operands.append(arg)
            if not spec.interspersed:
                operands.extend(rest)
    return Parsed(options, operands)


def _cluster(cluster: str, rest: Iterator[str], spec: Spec) -> Iterator[Option]:
    """``-it``, ``-ttag``, ``-t=tag``, ``-t tag``."""
    while cluster:
        name, cluster = spec.short.get(cluster[0], cluster[0]), cluster[1:]
        if name in spec.values:
            yield Option(name, cluster.removeprefix("=") if cluster else next(rest, ""))
            return
        if cluster.startswith("="):
            yield Option(name, cluster[1:])
            return
        yield Option(name, None)


def fields(value: str) -> dict[str, str]:
    """Read ``type=image,"name=a,b",push=true``, which is CSV.

    Args:
        value: The flag's value.

    Returns:
        Keys in lower case; a key without ``=`` has the value ``""``.
    """
    import csv  # noqa: PLC0415

    row = next(csv.reader([value]), [])
    return {k.strip().lower(): v.strip() for k, _, v in (field.partition("=") for field in row)}
