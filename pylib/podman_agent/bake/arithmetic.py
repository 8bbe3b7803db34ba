"""Numbers of a bake file: exact to go-cty's 512 bits."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from podman_agent.bake.values import EXACT, to_string, whole

if TYPE_CHECKING:
    from collections.abc import Callable


def exactly(function: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], Any]:
    """A function of two numbers, computed as exactly as go-cty does."""
    return lambda a, b: whole(function(Decimal(a), Decimal(b)))


def modulo(a: Any, b: Any) -> Any:
    """The remainder, with the sign of the dividend."""
    return whole(EXACT.remainder(Decimal(a), Decimal(b))) if b else _by_zero()


def divide(a: Any, b: Any) -> Any:
    """A quotient."""
    return whole(EXACT.divide(Decimal(a), Decimal(b))) if b else _by_zero()


def _by_zero() -> Any:
    msg = "divide by zero"
    raise ArithmeticError(msg)


def sequence(first: Any, *more: Any) -> list[Any]:
    """Numbers from one to another: ``range()``."""
    start, end = (first, more[0]) if more else (0, first)
    step = more[1] if len(more) > 1 else (1 if end >= start else -1)
    if not step or (step > 0) != (end >= start):
        if start == end and step:
            return []
        msg = "the step leads nowhere"
        raise ValueError(msg)
    found, at = [], start
    while at < end if step > 0 else at > end:
        found.append(at)
        at = whole(Decimal(at) + Decimal(step))
        if len(found) > 1024:
            msg = "more than 1024 values were generated"
            raise ValueError(msg)
    return found


def logarithm(number: Any, base: Any) -> Decimal:
    """A logarithm to any base."""
    return Decimal(repr(math.log(number) / math.log(base)))


def power(a: Any, b: Any) -> Any:
    """A power; exact where both are whole."""
    return (
        whole(Decimal(a) ** b)
        if isinstance(a, int) and isinstance(b, int) and b >= 0
        else whole(Decimal(repr(math.pow(a, b))))
    )


def parse_integer(text: Any, base: int) -> int:
    """A whole number written in any base up to 36."""
    if not 2 <= base <= 62 or not re.fullmatch(r"[-+]?[0-9A-Za-z]+", to_string(text)):
        msg = f"cannot parse {text!r} as an integer in base {base}"
        raise ValueError(msg)
    return int(to_string(text), base)
