# shellcheck shell=sh
# For people at a prompt: Jenkins' `sh` steps read no profile. An alias goes before PATH, so `alias docker=podman`
# would hide our docker shim, which knows what podman does not (buildx, compose, push flags); it is there for the case
# where `docker` is not ours: a derived image without the shim, or with a docker client and no daemon in front of it.
case $- in
*i*)
    if [ "$(command -v docker)" != /usr/local/bin/docker ]; then
        alias docker=podman
    fi
    ;;
esac
