# Completion of podman and docker, by what podman itself answers to `__complete` (cobra's protocol: a candidate and its
# description a line, last a colon and a bit mask), without the package bash-completion; and of podman-agent.
# https://github.com/spf13/cobra/blob/main/site/content/completions/_index.md

_podman_agent_cobra() {
    local line directive=0 current=${COMP_WORDS[COMP_CWORD]}
    local -a lines candidates=()
    mapfile -t lines < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    for line in "${lines[@]}"; do
        if [[ $line == :* ]]; then
            directive=${line#:}
        else
            candidates+=("${line%%$'\t'*}")
        fi
    done
    mapfile -t COMPREPLY < <(compgen -W "${candidates[*]}" -- "$current")
    ((directive & 2)) && compopt -o nospace           # ShellCompDirectiveNoSpace
    ((directive & 4)) && compopt +o default +o bashdefault # ShellCompDirectiveNoFileComp
    return 0
}
complete -o default -F _podman_agent_cobra podman docker

# shellcheck disable=SC1091
. /opt/podman-agent/entrypoint/share/bash-completion/podman-agent
