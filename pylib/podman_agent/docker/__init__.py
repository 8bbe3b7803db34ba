"""The docker command line on podman: what docker has and podman lacks, one module a verb.

Kept tiny: the shim imports this package for every ``docker`` call that is not direct.
"""

from __future__ import annotations

from podman_agent.docker.call import Call
from podman_agent.docker.direct import is_direct

__all__ = ["Call", "is_direct", "main"]


def main(call: Call) -> int:
    """Run one ``docker`` command line that podman would not serve as docker does.

    Args:
        call: The command line and everything podman is to be started with.

    Returns:
        The exit code; often it does not return, because podman has replaced the process.
    """
    from podman_agent.docker.dispatch import dispatch  # noqa: PLC0415  (is_direct callers stop here)

    return dispatch(call)
