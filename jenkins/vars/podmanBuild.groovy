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
    sh(script: line(words), label: "Build ${names[0]}")
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
    def command = several ? ['podman', 'manifest', 'push', '--all'] : ['podman', 'push']
    def file = sh(script: 'mktemp', returnStdout: true, label: 'Make a file for the digest').trim()
    sh(script: line(command + ['--digestfile', file, local, "docker://${name}"]), label: "Push ${name}")
    return sh(script: "cat ${quote(file)}; rm -f ${quote(file)}", returnStdout: true, label: "Digest of ${name}").trim()
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
