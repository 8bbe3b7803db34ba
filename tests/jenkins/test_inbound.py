"""The java command line, case by case as jenkinsci/docker-agents documents its `jenkins-agent` script."""

from __future__ import annotations

from typing import Any

import pytest
from podman_agent.agent import inbound
from podman_agent.errors import ConfigError

SECRET = "0123456789abcdef" * 4


def argv(*arguments: str, **env: str) -> list[str]:
    made = inbound.settings(arguments, env)
    return inbound.java_command(made, "agent.jar", "/shm/secret" if made.secret else "")


def test_variables_the_kubernetes_plugin_sets() -> None:
    made = inbound.settings(
        (),
        {
            "JENKINS_SECRET": SECRET,
            "JENKINS_NAME": "agent-1",
            "JENKINS_AGENT_NAME": "agent-1",
            "JENKINS_AGENT_WORKDIR": "/home/jenkins/agent",
            "JENKINS_URL": "http://jenkins:8080/",
            "JENKINS_WEB_SOCKET": "true",
            "REMOTING_OPTS": "-noReconnectAfter 1d",
        },
    )
    assert made.warnings == []
    assert inbound.java_command(made, "a.jar", "/shm/s") == [
        *("java", "-jar", "a.jar", "-secret", "@/shm/s", "-noReconnectAfter", "1d", "-name", "agent-1"),
        *("-url", "http://jenkins:8080/", "-workDir", "/home/jenkins/agent", "-webSocket"),
    ]


@pytest.mark.parametrize(
    ("variable", "option"),
    [
        ("JENKINS_URL", "-url"),
        ("JENKINS_NAME", "-name"),
        ("JENKINS_AGENT_NAME", "-name"),
        ("JENKINS_AGENT_WORKDIR", "-workDir"),
        ("JENKINS_TUNNEL", "-tunnel"),
        ("JENKINS_DIRECT_CONNECTION", "-direct"),
        ("JENKINS_INSTANCE_IDENTITY", "-instanceIdentity"),
        ("JENKINS_PROTOCOLS", "-protocols"),
    ],
)
def test_variable_becomes_its_option_and_is_never_split(variable: str, option: str) -> None:
    assert argv(**{variable: "some value"}) == ["java", "-jar", "agent.jar", option, "some value"]
    assert argv(**{variable: ""}) == ["java", "-jar", "agent.jar"]


@pytest.mark.parametrize(("value", "given"), [("true", ["-webSocket"]), ("TRUE", []), ("1", []), ("false", [])])
def test_web_socket_only_when_the_variable_is_exactly_true(value: str, given: Any) -> None:
    assert argv(JENKINS_WEB_SOCKET=value)[3:] == given


def test_jenkins_name_overrides_jenkins_agent_name_and_says_so_when_they_differ() -> None:
    made = inbound.settings((), {"JENKINS_AGENT_NAME": "a", "JENKINS_NAME": "b"})
    assert made.value("-name") == "b"
    assert made.warnings == ["-name is set by JENKINS_NAME and by JENKINS_AGENT_NAME: the former counts"]


@pytest.mark.parametrize(
    ("env", "java"),
    [
        ({}, ["java"]),
        ({"JAVA_HOME": "/opt/java"}, ["/opt/java/bin/java"]),
        ({"JAVA_HOME": "/opt/java", "JENKINS_JAVA_BIN": "/my/java"}, ["/my/java"]),
        (
            {"JENKINS_JAVA_BIN": "/usr/libexec/podman/catatonit -- java"},
            ["/usr/libexec/podman/catatonit", "--", "java"],
        ),
        ({"JAVA_OPTS": "-Xmx1g -Da=b"}, ["java", "-Xmx1g", "-Da=b"]),
        ({"JAVA_OPTS": "-Xmx1g", "JENKINS_JAVA_OPTS": '-Dx="two words"'}, ["java", "-Dx=two words"]),
    ],
)
def test_java_and_its_options(env: Any, java: Any) -> None:
    assert argv(**env) == [*java, "-jar", "agent.jar"]


def test_remoting_opts_are_merged_and_keep_quoted_values_whole() -> None:
    assert argv(REMOTING_OPTS="-noReconnectAfter '1 d' -headless", JENKINS_TUNNEL="h:1")[3:] == [
        *("-noReconnectAfter", "1 d", "-headless", "-tunnel", "h:1")
    ]


def test_arguments_win_over_remoting_opts_and_those_over_variables_each_with_a_warning() -> None:
    made = inbound.settings(
        ("-url", "http://argument/"),
        {
            "REMOTING_OPTS": "-url http://opts/ -workDir /opts",
            "JENKINS_URL": "http://v/",
            "JENKINS_AGENT_WORKDIR": "/v",
        },
    )
    assert made.options == [("-url", "http://argument/"), ("-workDir", "/opts")]
    assert made.warnings == [
        "-url is set by the arguments and by REMOTING_OPTS: the former counts",
        "-url is set by the arguments and by JENKINS_URL: the former counts",
        "-workDir is set by REMOTING_OPTS and by JENKINS_AGENT_WORKDIR: the former counts",
    ]


def test_an_option_repeated_in_one_place_is_passed_as_often() -> None:
    assert argv("-webSocketHeader", "A=1", "-webSocketHeader", "B=2")[3:] == [
        *("-webSocketHeader", "A=1", "-webSocketHeader", "B=2")
    ]


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("-secret", SECRET, "-name", "a"), {}),
        ((SECRET, "a"), {}),
        (("-url", "http://j/", SECRET, "a"), {"JENKINS_SECRET": SECRET}),
        ((), {"REMOTING_OPTS": f"-secret {SECRET} -name a"}),
        (("-name", "a"), {"JENKINS_SECRET": SECRET}),
    ],
)
def test_secret_from_wherever_it_comes_is_passed_by_file_only(arguments: Any, env: Any) -> None:
    made = inbound.settings(arguments, env)
    command = inbound.java_command(made, "agent.jar", "/shm/secret")
    assert made.secret == SECRET
    assert made.value("-name") == "a"
    assert command.count("@/shm/secret") == 1
    assert SECRET not in " ".join([*command, *made.warnings, repr(made)])


def test_one_plain_argument_is_a_command_and_an_option_or_two_words_are_not() -> None:
    assert inbound.command(["bash"]) == "bash"
    assert inbound.command(["-help"]) == ""
    assert inbound.command([SECRET, "name"]) == ""
    assert inbound.command([]) == ""


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("-url",), {}),
        ((), {"REMOTING_OPTS": "-noReconnectAfter"}),
        ((), {"REMOTING_OPTS": "-name 'a"}),
        ((), {"JENKINS_JAVA_OPTS": "-Dx='"}),
        (("a", "b", "c"), {}),
    ],
)
def test_what_cannot_be_split_or_paired_is_an_error(arguments: Any, env: Any) -> None:
    with pytest.raises(ConfigError):
        inbound.settings(arguments, env)
