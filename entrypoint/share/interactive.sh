# shellcheck shell=sh disable=SC1091
# Completion where somebody types: Debian's bash.bashrc and EL's bashrc read this, as every login shell does.
case $-${BASH_VERSION-} in
*i*.*) . /opt/podman-agent/entrypoint/share/completion.bash ;;
esac
