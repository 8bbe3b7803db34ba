"""The subcommands of podman-agent, one module each."""
