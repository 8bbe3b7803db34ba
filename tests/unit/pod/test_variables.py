"""Each variable is read in one place: empty is not set, and what is no value is an error that names the variable."""

from __future__ import annotations

import pytest
from podman_agent.errors import ConfigError
from podman_agent.pod import variables

BAD = [
    ("CACHE_STORES", "0"),
    ("CACHE_WAIT", "-1"),
    ("CACHE_BUDGET", "much"),
    ("CACHE_LOCKS", "maybe"),
    ("RETRY_ATTEMPTS", "0"),
    ("RETRY_TIMEOUT", "soon"),
    ("RETRY_DEADLINE", "-1"),
    ("RETRY_MAX_WAIT", "nan"),
    ("MIRRORS", "docker.io"),
    ("INSECURE_REGISTRIES", "http://x"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_what_is_no_value_is_an_error_that_names_the_variable(name: str, text: str) -> None:
    """For the plan too, which has no use for some of them: a typo in a pod template must not pass for a setting."""
    with pytest.raises(ConfigError, match=f"PODMAN_AGENT_{name}"):
        variables.forced({f"PODMAN_AGENT_{name}": text})


def test_every_variable_that_is_no_free_text_refuses_something() -> None:
    """A new one has its row above, or takes any text."""
    free = {"VOLUME", "GRAPHROOT", "CACHE_KEY", "CACHE_IMAGES", "STATE_DIR", "JAR_HOSTS"}
    closed = {variable.name for variable in variables.TABLE if variable.values}
    assert {variable.name for variable in variables.TABLE} == free | closed | {name for name, _ in BAD}


def test_what_is_set_to_nothing_is_not_set() -> None:
    """Jenkins does so when a parameter is left empty."""
    empty = {variable.full_name: "" for variable in variables.TABLE}
    assert not any(variable in variables.forced(empty) for variable in variables.TABLE)
    assert variables.CACHE_STORES.value(empty) == variables.CACHE_STORES.value({}) == 8


def test_values_are_read_as_what_they_are() -> None:
    env = {"PODMAN_AGENT_CACHE_BUDGET": "2Gi", "PODMAN_AGENT_RETRY_MAX_WAIT": "0", "PODMAN_AGENT_CACHE_IMAGES": "a  b"}
    assert variables.CACHE_BUDGET.read(env) == 2 << 30
    assert variables.RETRY_MAX_WAIT.value(env) == 0
    assert variables.CACHE_IMAGES.value(env) == ("a", "b")
    assert variables.MIRRORS.read({"PODMAN_AGENT_MIRRORS": "docker.io=m/x, q=r"}) == (("docker.io", "m/x"), ("q", "r"))
