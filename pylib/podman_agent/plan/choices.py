"""A choice: a value with its reason; a forced one is held against what the pod allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, NoReturn, TypeVar

from podman_agent.errors import PodRefusalError

if TYPE_CHECKING:
    from typing import Any

    from podman_agent.pod.variables import Forced, Variable

PRIVILEGED = "set securityContext.privileged: true"
DROP = "drop the variable"
USERNS_FIX = (
    "leave seccompProfile undefined, or set seccompProfile: {type: Localhost, localhostProfile: podman-agent.json}"
    " (docs/how-to/seccomp.md), with capabilities SETUID, SETGID and SETFCAP"
)
T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S", bound=str)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one choice was made: what doctor prints."""

    choice: str
    value: str
    why: str
    source: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Choice(Generic[T_co]):
    """What a rule says.

    Attributes:
        value: For the plan.
        reason: Why; None where podman is left its own.
    """

    value: T_co
    reason: Reason | None = None

    @staticmethod
    def explained(name: str, value: S, why: str, source: str) -> Choice[S]:
        """A choice that no variable forces, with its reason."""
        return Choice(value, Reason(name, value, why, source))


class Refusal(NamedTuple):
    """Why a forced value cannot be had here, and what would give it."""

    why: str
    fix: str


def choose(
    variable: Variable[S], forced: Forced, rule: S, why: str, source: str, *, cannot: Refusal | None = None
) -> Choice[S]:
    """Take the rule's value, or the one that its variable forces.

    Args:
        variable: What forces this choice.
        forced: The variables that are set.
        rule: What the rule says.
        why: The reason.
        source: Where the reason is documented.
        cannot: Why this pod cannot have the forced value, where it cannot.

    Raises:
        PodRefusalError: The pod does not allow the forced one.
    """
    value = forced.get(variable)
    if value is None:
        return Choice(rule, Reason(variable.choice, rule, why, source))
    if cannot:
        refuse(forced, (variable,), cannot)
    why = f"{variable.full_name} says so" + ("" if value == rule else f" (the rule says {rule}: {why})")
    return Choice(value, Reason(variable.choice, value, why, source, forced=True))


def refuse(forced: Forced, names: tuple[Variable[Any], ...], cannot: Refusal) -> NoReturn:
    """Refuse what these variables force.

    Raises:
        PodRefusalError: Always.
    """
    what = " and ".join(f"{variable.full_name}={forced.get(variable)}" for variable in names)
    what += " cannot be had in this pod"
    raise PodRefusalError(what, cannot.why, cannot.fix)
