"""The docker command line on podman: what docker has and podman lacks, one module a verb.

Nothing is imported here: the shim asks `podman_agent.docker.direct` on every ``docker`` call, and only for what podman
would not serve as docker does it goes on to `podman_agent.docker.dispatch`.
"""
