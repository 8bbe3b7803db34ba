"""Error texts of podman in a pod: cause and cure."""
