"""How choices are collected, each with its reason; a forced value is checked against what the pod allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from podman_agent.errors import PodRefusalError
from podman_agent.plan.overrides import PREFIX
from podman_agent.plan.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.plan.refusals import Refusal
    from podman_agent.plan.speed import Knob
    from podman_agent.pod.facts import Facts


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one choice was made: what doctor prints."""

    choice: str
    value: str
    why: str
    source: str
    forced: bool = False


class Rules:
    """Collects choices; a forced value replaces the rule's own, after a check that the pod allows it."""

    def __init__(self, facts: Facts, overrides: Mapping[str, str]) -> None:
        self.facts, self.overrides, self.id_mode = facts, overrides, "root"
        self.reasons: list[Reason] = []

    def choose(self, name: str, value: str, why: str, source: str) -> str:
        """Keep one choice.

        Args:
            name: The variable that forces it, without its prefix.
            value: What the rule says.
            why: The reason.
            source: Where the reason is documented.

        Returns:
            The rule's value, or the forced one.

        Raises:
            PodRefusalError: The pod does not allow the forced one.
        """
        forced = self.overrides.get(name)
        if forced is not None:
            if cannot := refusal(self.facts, self.id_mode, name, forced):
                self.refuse((name,), cannot)
            why = f"{PREFIX}{name} says so" + ("" if forced == value else f" (the rule says {value}: {why})")
            value = forced
        self.reasons.append(Reason(name.lower(), value, why, source, forced is not None))
        return value

    def refuse(self, names: tuple[str, ...], cannot: Refusal) -> NoReturn:
        """Refuse what these variables force.

        Args:
            names: The variables, without their prefix.
            cannot: Why, and what would give it.

        Raises:
            PodRefusalError: Always.
        """
        what = " and ".join(f"{PREFIX}{name}={self.overrides[name]}" for name in names)
        what += " cannot be had in this pod"
        raise PodRefusalError(what, cannot.why, cannot.fix)

    def tuned(self, knob: Knob) -> str:
        """Take what makes podman faster, where it does."""
        if knob.value:
            self.reasons.append(Reason(knob.choice, knob.value, knob.why, knob.source))
        return knob.value
