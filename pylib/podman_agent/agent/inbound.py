"""The Jenkins inbound agent: from environment and arguments to the java command line. Pure.

What is understood, and under which names, is what `jenkins/inbound-agent` understands
(https://github.com/jenkinsci/docker-agents/blob/master/jenkins-agent), so that a pod template moves over unchanged.
Three things differ: arguments win over REMOTING_OPTS and those over the other variables, always with a warning; values
are never split at blanks; and the secret never becomes an argument.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# variable -> option of agent.jar (https://github.com/jenkinsci/remoting/blob/master/src/main/java/hudson/remoting/Launcher.java)
VARIABLES = {
    "JENKINS_SECRET": "-secret",
    "JENKINS_NAME": "-name",
    "JENKINS_AGENT_NAME": "-name",
    "JENKINS_TUNNEL": "-tunnel",
    "JENKINS_URL": "-url",
    "JENKINS_AGENT_WORKDIR": "-workDir",
    "JENKINS_WEB_SOCKET": "-webSocket",
    "JENKINS_DIRECT_CONNECTION": "-direct",
    "JENKINS_PROTOCOLS": "-protocols",
    "JENKINS_INSTANCE_IDENTITY": "-instanceIdentity",
}
# Options of agent.jar that take no value; any other takes the next argument.
SWITCHES = frozenset(
    (
        *("-webSocket", "-headless", "-help", "-noCertificateCheck", "-disableHttpsCertValidation", "-noKeepAlive"),
        *("-noReconnect", "-ping", "-text", "-version", "-failIfWorkDirIsMissing", "-showVersion"),
    )
)
# Read here, and no business of the builds that inherit the environment.
CONSUMED = ("JENKINS_SECRET", "REMOTING_OPTS")
DEFAULT_JAR = "/usr/share/jenkins/agent.jar"


@dataclass(frozen=True)
class Inbound:
    """One agent to start.

    Attributes:
        java: Java and its own options.
        options: Options of agent.jar with their values (None: a switch), the secret left out.
        secret: The secret, or `@file` that holds it, or empty.
        jar: agent.jar as the caller named it; empty: the image's own if there is one, else the controller's.
        warnings: What was said twice, without any secret.
    """

    java: list[str]
    options: list[tuple[str, str | None]]
    secret: str = field(default="", repr=False)
    jar: str = ""
    warnings: list[str] = field(default_factory=list)

    def value(self, option: str) -> str:
        """The value of an option of agent.jar; empty if it is not given."""
        return next((value or "" for name, value in self.options if name == option), "")


def command(arguments: Sequence[str]) -> str:
    """The command to run instead of an agent: the one argument that is not an option; else empty."""
    if len(arguments) == 1 and not arguments[0].startswith("-"):
        return arguments[0]
    return ""


def settings(arguments: Sequence[str], env: Mapping[str, str]) -> Inbound:
    """Merge arguments, REMOTING_OPTS and variables.

    Raises:
        ConfigError: A variable with unbalanced quotes, or an option without its value.
    """
    warnings: list[str] = []
    merged: list[tuple[str, str | None]] = []
    origin: dict[str, str] = {}
    sources = [
        ("the arguments", _parsed(arguments, "the arguments")),
        ("REMOTING_OPTS", _parsed(_words("REMOTING_OPTS", env), "REMOTING_OPTS")),
        *((name, [(option, value)]) for name, option, value in _variables(env)),
    ]
    for source, options in sources:
        for option, value in options:
            # One source may repeat an option (-cert, -webSocketHeader); a later source does not add to it.
            if origin.setdefault(option, source) == source:
                merged.append((option, value))
            # The kubernetes plugin sets JENKINS_NAME and JENKINS_AGENT_NAME alike: nothing to tell.
            elif origin[option] != "JENKINS_NAME" or (option, value) not in merged:
                warnings.append(f"{option} is set by {origin[option]} and by {source}: the former counts")
    secret = next((value or "" for option, value in merged if option == "-secret"), "")
    others = [(option, value) for option, value in merged if option != "-secret"]
    return Inbound(_java(env), others, secret, env.get("JENKINS_AGENT_FILE", ""), warnings)


def java_command(inbound: Inbound, jar: str, secret_file: str) -> list[str]:
    """The command line to run; `secret_file` may be empty when there is no secret."""
    secret = ["-secret", f"@{secret_file}"] if secret_file else []
    options = [word for pair in inbound.options for word in pair if word is not None]
    return [*inbound.java, "-jar", jar, *secret, *options]


def _variables(env: Mapping[str, str]) -> list[tuple[str, str, str | None]]:
    found: list[tuple[str, str, str | None]] = []
    for name, option in VARIABLES.items():
        value = env.get(name, "")
        if option not in SWITCHES:
            found += [(name, option, value)] if value else []
        elif value == "true":
            found.append((name, option, None))
    return found


def _parsed(words: Sequence[str], source: str) -> list[tuple[str, str | None]]:
    """Options with their values; bare words are secret and name: `${computer.jnlpmac} ${computer.name}`."""
    options: list[tuple[str, str | None]] = []
    bare: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            bare.append(word)
        elif word in SWITCHES:
            options.append((word, None))
        elif (value := next(rest, None)) is None:
            what = f"{source} end in {word}, which needs a value"
            raise ConfigError(what, fix="give it, or drop the option")
        else:
            options.append((word, value))
    options.extend(zip(("-secret", "-name"), bare, strict=False))
    if len(bare) > 2:
        what = f"{source} hold {len(bare)} words that belong to no option"
        raise ConfigError(what, fix="quote values that hold blanks")
    return options


def _words(name: str, env: Mapping[str, str]) -> list[str]:
    try:
        return shlex.split(env.get(name, ""))
    except ValueError as error:
        what = f"{name} cannot be split into arguments"
        raise ConfigError(what, str(error), "balance its quotes") from error


def _java(env: Mapping[str, str]) -> list[str]:
    if env.get("JENKINS_JAVA_BIN"):
        java = _words("JENKINS_JAVA_BIN", env)
    else:
        java = [f"{env['JAVA_HOME']}/bin/java" if env.get("JAVA_HOME") else "java"]
    return java + _words("JENKINS_JAVA_OPTS" if env.get("JENKINS_JAVA_OPTS") else "JAVA_OPTS", env)
