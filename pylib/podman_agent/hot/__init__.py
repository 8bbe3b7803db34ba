"""What every docker, podman and buildah call runs: built-in modules only."""
