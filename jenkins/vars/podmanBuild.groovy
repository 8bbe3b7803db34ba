/**
 * Build an image in the agent's podman and, unless told otherwise, push it under each of its tags.
 *
 * podmanBuild(image: 'registry.example.com/team/app', tags: ['1.0', 'latest'], credentialsId: 'registry')
 *
 *   image          name without tag; required
 *   tags           tags to give (default: ['latest'])
 *   context        directory (default: '.')
 *   file           Containerfile or Dockerfile (default: podman's own choice in the context)
 *   target         stage to build
 *   buildArgs      map of build arguments; not for secrets, they stay in the image's history
 *   platforms      list such as ['linux/amd64', 'linux/arm64']: a manifest list is built and pushed whole
 *   cache          repository that keeps layers for pods without a warm store
 *   push           false to build only
 *   credentialsId  user name and password of the registry; the login lasts as long as this step
 *
 * What a retry can cure (exit codes 69 and 75 of podman-agent: a registry that does not answer) is thrown as Jenkins
 * throws the loss of an agent: `retry(count: 3, conditions: [agent(), nonresumable()])` around this step, or around the
 * whole withPodmanAgent, takes it and not a broken Dockerfile, and `catchError` sets ABORTED for it, not FAILURE. Only
 * a library that an administrator trusts (a global one) may throw it; from another the same is a plain error.
 *
 * Written for Jenkins' CPS transformation: no closure over a collection, no `as boolean` (null there for null), and
 * nothing held over a step that cannot be serialized.
 *
 * Gives a map: image (name with the first tag) and digest (of what was pushed; null when nothing was).
 */
def call(Map settings) {
    def known = ['image', 'tags', 'context', 'file', 'target', 'buildArgs', 'platforms', 'cache', 'push', 'credentialsId']
    def unknown = settings.keySet() - known
    if (unknown) {
        error("podmanBuild: unknown ${unknown.join(', ')}; there are ${known.join(', ')}")
    }
    if (!settings.image) {
        error('podmanBuild: image is missing')
    }
    def names = []
    for (tag in (settings.tags ?: ['latest'])) {
        names << "${settings.image}:${tag}".toString()
    }
    if (!settings.credentialsId) {
        return build(settings, names)
    }
    def result = null
    withCredentials([usernamePassword(credentialsId: settings.credentialsId,
                                      usernameVariable: 'PODMAN_BUILD_USER', passwordVariable: 'PODMAN_BUILD_PASSWORD')]) {
        def authFile = sh(script: 'mktemp', returnStdout: true, label: 'Make a file for the login').trim()
        withEnv(["REGISTRY_AUTH_FILE=${authFile}"]) {
            try {
                login(settings.image)
                result = build(settings, names)
            } finally {
                sh(script: 'rm -f "$REGISTRY_AUTH_FILE"', label: 'Forget the login')
            }
        }
    }
    return result
}

private void login(String image) {
    def slash = image.indexOf('/')
    def first = slash < 0 ? '' : image.substring(0, slash)
    // As docker reads names: a registry has a dot or a port in it, or is localhost.
    def registry = first.contains('.') || first.contains(':') || first == 'localhost' ? first : 'docker.io'
    // An empty file is no valid one.
    sh(script: 'set +x; echo "{}" >"$REGISTRY_AUTH_FILE"; ' +
        "printf %s \"\$PODMAN_BUILD_PASSWORD\" | podman login -u \"\$PODMAN_BUILD_USER\" --password-stdin ${quote(registry)}",
        label: "Log in to ${registry}")
}

private Map build(Map settings, List names) {
    def several = settings.platforms ? true : false
    def words = ['podman', 'build']
    if (several) {
        words += ['--platform', settings.platforms.join(','), '--manifest', names[0]]
    } else {
        for (name in names) {
            words += ['--tag', name]
        }
    }
    if (settings.file) {
        words += ['--file', settings.file]
    }
    if (settings.target) {
        words += ['--target', settings.target]
    }
    for (name in (settings.buildArgs ?: [:]).keySet()) {
        words += ['--build-arg', "${name}=${settings.buildArgs[name]}"]
    }
    if (settings.cache) {
        words += ['--layers', '--cache-from', settings.cache, '--cache-to', settings.cache]
    }
    words += [settings.context ?: '.']
    attempt(line(words), "Build ${names[0]}")
    if (settings.push == false) {
        return [image: names[0], digest: null]
    }
    def digest = null
    for (int i = 0; i < names.size(); i++) {
        digest = push(several ? names[0] : names[i], names[i], several)
    }
    return [image: names[0], digest: digest]
}

private String push(String local, String name, boolean several) {
    def command = ['podman-agent', 'push'] + (several ? ['--manifest'] : [])
    def file = sh(script: 'mktemp', returnStdout: true, label: 'Make a file for the digest').trim()
    attempt("${line(command + ['--as', name, local])} >${quote(file)}", "Push ${name}")
    def read = "cat ${quote(file)}; rm -f ${quote(file)}"
    def pushed = sh(script: read, returnStdout: true, label: "Digest of ${name}").trim()
    return pushed.substring(pushed.lastIndexOf('@') + 1)
}

/** Run a script; a failure that another attempt can cure is an agent's, any other the build's. */
private void attempt(String script, String label) {
    int code = sh(script: script, returnStatus: true, label: label)
    if (code == 69 || code == 75) {
        echo("podmanBuild: ${label}: infrastructure, not the build (exit code ${code})")
        def lost = null
        try {
            lost = agentError()
        } catch (SecurityException notTrusted) {
            error("podmanBuild: ${label}: infrastructure, not the build (exit code ${code}); a retry may help")
        }
        throw lost
    }
    if (code != 0) {
        error("podmanBuild: ${label}: exit code ${code}")
    }
}

/** What AgentErrorCondition of workflow-durable-task-step takes for an agent's; a script can make no cause of its own. */
private agentError() {
    return new org.jenkinsci.plugins.workflow.steps.FlowInterruptedException(hudson.model.Result.ABORTED, false,
        new org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution.RemovedNodeCause())
}

private String line(List words) {
    def quoted = []
    for (word in words) {
        quoted << quote(word.toString())
    }
    return quoted.join(' ')
}

private String quote(String word) {
    if (word ==~ /[A-Za-z0-9_@%+=:,.\/-]+/) {
        return word
    }
    return "'" + word.replace("'", "'\\''") + "'"
}
