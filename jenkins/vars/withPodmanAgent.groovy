/**
 * Run a body in a pod of one of the shipped templates, in its container with podman.
 *
 * withPodmanAgent(trust: 'unprivileged', key: 'team-a') { sh 'docker build -t app .' }
 *
 *   trust     unprivileged (default), userns, privileged-hostpath, privileged-pvc, privileged-ephemeral:
 *             the template `podman-agent-TRUST` of jenkins/casc
 *   image     agent image instead of the template's
 *   key       team whose part of a shared volume the pod mounts
 *   cpu, memory              requests
 *   cpuLimit, memoryLimit    limits
 */
def call(Map settings = [:], Closure body) {
    def known = ['trust', 'image', 'key', 'cpu', 'memory', 'cpuLimit', 'memoryLimit']
    def unknown = settings.keySet() - known
    if (unknown) {
        error("withPodmanAgent: unknown ${unknown.join(', ')}; there are ${known.join(', ')}")
    }
    for (name in settings.keySet()) {
        // What follows becomes YAML: a value may not be more than one.
        if (!(settings[name].toString() ==~ /[A-Za-z0-9][A-Za-z0-9._:\/@-]*/)) {
            error("withPodmanAgent: ${name} '${settings[name]}' holds what a pod template cannot")
        }
    }
    if (settings.key && !(settings.key.toString() ==~ /[A-Za-z0-9][A-Za-z0-9._-]{0,62}/)) {
        error("withPodmanAgent: key '${settings.key}' is no plain name")
    }
    podTemplate(inheritFrom: "podman-agent-${settings.trust ?: 'unprivileged'}", yamlMergeStrategy: merge(),
                yaml: overlay(settings)) {
        node(POD_LABEL) {
            container('podman') {
                body()
            }
        }
    }
}

/**
 * The fields that differ from the template; the kubernetes plugin merges containers by name.
 *
 * `args` stands here again: before plugin 4203 the merge drops the template's when the overlay has none, and the
 * container ends at once.
 */
private String overlay(Map settings) {
    def text = 'spec:\n  containers:\n    - name: podman\n      args: [cat]\n'
    if (settings.image) {
        text += "      image: ${settings.image}\n"
    }
    if (settings.key) {
        text += "      env:\n        - name: PODMAN_AGENT_CACHE_KEY\n          value: \"${settings.key}\"\n"
        if (settings.trust in ['privileged-hostpath', 'privileged-pvc']) {
            // The plugin merges mounts by mountPath: this one takes the place of the template's.
            text += '      volumeMounts:\n        - name: storage\n          mountPath: /var/lib/containers\n'
            text += "          subPath: privileged/${settings.key}\n"
        }
    }
    if (settings.cpu || settings.memory || settings.cpuLimit || settings.memoryLimit) {
        text += '      resources:\n'
        text += quantities('requests', settings.cpu, settings.memory)
        text += quantities('limits', settings.cpuLimit, settings.memoryLimit)
    }
    return text
}

private String quantities(String kind, cpu, memory) {
    if (!cpu && !memory) {
        return ''
    }
    return "        ${kind}:\n" + (cpu ? "          cpu: \"${cpu}\"\n" : '') + (memory ? "          memory: \"${memory}\"\n" : '')
}
