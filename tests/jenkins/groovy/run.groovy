/*
 * Runs a Jenkinsfile without Jenkins: its steps are methods of the script's base class, over one context per branch.
 *
 * usage: run.groovy CONFIGURATION.json
 *   exec, target   command line before and after the `--env NAME` options, say `podman exec -i` and a container
 *   workspace      directory in which sh runs, there
 *   files          the Jenkinsfiles, run one after the other
 *   describe       true: no sh is run; one line of JSON for each step instead
 *   library        directory of shared library steps (vars)
 *   sandbox        true: what script-security has on no whitelist is refused
 *   params, credentials, env
 *
 * `sh` runs with the environment that Jenkins would give it. The docker-workflow steps run the command lines of that
 * plugin: https://github.com/jenkinsci/docker-workflow-plugin (Docker.groovy, DockerClient.java, WithContainerStep.java).
 * What only a controller can do (agents, archives, options) is accepted and does nothing.
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import hudson.model.Result
import org.codehaus.groovy.control.CompilerConfiguration
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException
import org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution

@interface Library { String[] value() }

class Context {
    Map<String, String> env = [:]
    String directory
    String container = ''
    String inside = ''
    Map section
    List collecting

    Context copy() {
        new Context(env: new LinkedHashMap(env), directory: directory, container: container, inside: inside)
    }
}

class StepFailure extends RuntimeException {
    StepFailure(String text) { super(text) }
}

abstract class Jenkinsfile extends Script {
    static Map configuration
    static Map library = [:]
    static final ThreadLocal<Context> CURRENT = new ThreadLocal<>()
    // What only a controller, or the cluster, can do.
    static final List NOTHING = ['options', 'triggers', 'tools', 'properties', 'archiveArtifacts', 'junit', 'cleanWs', 'stash',
                                 'unstash', 'checkout', 'when', 'milestone']

    static Context ctx() { CURRENT.get() }

    static within(Closure change, Closure body) {
        def before = ctx()
        CURRENT.set(before.copy())
        change(ctx())
        try { body() } finally { CURRENT.set(before) }
    }

    static void together(Collection<Closure> bodies, Context base = ctx()) {
        def failures = Collections.synchronizedList([])
        bodies.collect { body ->
            Thread.start {
                CURRENT.set(base.copy())
                try { body() } catch (Throwable failure) { failures << failure }
            }
        }*.join()
        if (failures) throw failures[0]
    }

    @Override
    Object getProperty(String name) {
        if (name == 'env') return new EnvironmentVariable()
        if (name == 'params') return configuration.params
        if (name == 'docker') return new DockerVariable(steps: this)
        if (name == 'currentBuild') return [currentResult: 'SUCCESS']
        if (name in ['any', 'none', 'scm', 'POD_LABEL']) return name
        ctx().env.containsKey(name) ? ctx().env[name] : super.getProperty(name)
    }

    def methodMissing(String name, arguments) {
        if (name in NOTHING) return null
        if (library.containsKey(name)) return library[name].call(*arguments)
        // A step around a body that changes nothing here: timeout, timestamps, node, podTemplate ...
        if (arguments && arguments[-1] instanceof Closure) return arguments[-1]()
        throw new MissingMethodException(name, Jenkinsfile, arguments as Object[])
    }

    /** What is asked of the cluster, told as one line of JSON. */
    void agent(Closure body) {
        def asked = [:]
        def block = { Closure inner ->
            inner.delegate = new Asked(asked: asked)
            inner.resolveStrategy = Closure.DELEGATE_FIRST
            inner()
        }
        body.delegate = new Expando(kubernetes: block)
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body()
        tell(agent: asked)
    }

    void agent(String any) { tell(agent: any) }
    String merge() { 'merge' }
    List parameters(List all) { all }

    def podTemplate(Map asked, Closure body) {
        tell(agent: asked)
        body()
    }

    static void tell(Map what) { println('[json] ' + JsonOutput.toJson(what)) }

    // Declarative sections: their parts are collected first, so that `post` runs whatever happens.
    private void section(Closure body) {
        within({ it.section = [parts: [], post: null] }) {
            body()
            def failure = null
            try { ctx().section.parts.each { it() } } catch (Throwable caught) { failure = caught }
            def holds = [always: true, success: !failure, failure: !!failure, unsuccessful: !!failure, cleanup: true]
            def post = ctx().section.post
            if (post) {
                post.delegate = new Expando(holds.collectEntries { name, yes -> [name, { Closure inner -> yes ? inner() : null }] })
                post.resolveStrategy = Closure.DELEGATE_FIRST
                post()
            }
            if (failure) throw failure
        }
    }

    void pipeline(Closure body) { section(body) }
    void stages(Closure body) { part(body) }
    void steps(Closure body) { part(body) }
    void post(Closure body) { ctx().section.post = body }

    private void part(Closure body) {
        if (ctx().section == null) body() else ctx().section.parts << body
    }

    void stage(String name, Closure body) {
        if (ctx().collecting != null) {
            ctx().collecting << { stage(name, body) }
        } else {
            println("[stage] ${name}")
            section(body)
        }
    }

    void parallel(Closure body) {
        part {
            ctx().collecting = []
            body()
            def found = ctx().collecting
            ctx().collecting = null
            together(found)
        }
    }

    void parallel(Map branches) { together(branches.findAll { it.value instanceof Closure }.values()) }

    void matrix(Closure body) {
        def axes = [:]
        def stages = null
        def found = new Expando(
            axes: { Closure inner -> inner() },
            axis: { Closure inner ->
                def one = [:]
                inner.delegate = new Expando(name: { one.name = it }, values: { Object[] all -> one.values = all as List })
                inner.resolveStrategy = Closure.DELEGATE_FIRST
                inner()
                axes[one.name] = one.values
            },
            stages: { Closure inner -> stages = inner })
        body.delegate = found
        body.resolveStrategy = Closure.DELEGATE_FIRST
        part {
            body()
            def cells = axes.values().toList().combinations().collect { [axes.keySet().toList(), it].transpose() }
            together(cells.collect { cell -> { -> within({ c -> cell.each { k, v -> c.env[k] = v } }) { stages() } } })
        }
    }

    void environment(Closure body) {
        def target = new EnvironmentBlock(steps: this)
        body.delegate = target
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body()
    }

    void parameters(Closure body) { body() }
    void booleanParam(Map it) { parameter(it.name, it.defaultValue) }
    void choice(Map it) { parameter(it.name, it.choices[0]) }

    private void parameter(String name, standard) {
        configuration.params.putIfAbsent(name, standard)
        ctx().env[name] = configuration.params[name].toString()
    }

    // Credentials: each gives the variables it binds.
    def credentials(String id) { [credentials: id] }
    Map usernamePassword(Map it) {
        def known = configuration.credentials[it.credentialsId]
        [(it.usernameVariable): known.username, (it.passwordVariable): known.password]
    }

    def string(Map it) {
        if (it.name) return parameter(it.name, it.defaultValue)
        [(it.variable): configuration.credentials[it.credentialsId].secret]
    }

    /** A secret file: where its content is. */
    Map file(Map it) { [(it.variable): configuration.credentials[it.credentialsId].secret] }

    def withCredentials(List bindings, Closure body) { within({ c -> bindings.each { c.env.putAll(it) } }, body) }
    def withEnv(List pairs, Closure body) {
        within({ c -> pairs*.toString()*.split('=', 2).each { c.env[it[0]] = it[1] } }, body)
    }

    def container(String name, Closure body) { within({ it.container = name }, body) }
    def dir(String path, Closure body) { within({ it.directory = path.startsWith('/') ? path : "${it.directory}/${path}" }, body) }
    def retry(int times, Closure body) { retry(count: times, body) }

    // As RetryStepExecution.java and AgentErrorCondition.java say.
    def retry(Map it, Closure body) {
        for (attempt in 1..it.count) {
            try { return body() } catch (StepFailure | FlowInterruptedException failure) {
                def interrupted = failure instanceof FlowInterruptedException
                def holds = it.conditions ?
                    'agent' in it.conditions && interrupted && failure.causes.any(ExecutorStepExecution.&retryable) :
                    !(interrupted && failure.actualInterruption)
                if (attempt == it.count || !holds) throw failure
                println("${failure.message}\nRetrying")
            }
        }
    }

    def agent() { 'agent' }
    def nonresumable() { 'nonresumable' }

    // As CatchErrorStep.java says: the build's result is the interruption's own, else the one asked for.
    void catchError(Map it = [:], Closure body) {
        try { body() } catch (StepFailure | FlowInterruptedException failure) {
            if (it.catchInterruptions == false && failure instanceof FlowInterruptedException && failure.actualInterruption) throw failure
            def result = failure instanceof FlowInterruptedException ? failure.result : Result.valueOf(it.buildResult ?: 'FAILURE')
            println("ERROR: ${failure.message}\nSetting overall build result to ${result}")
        }
    }

    void echo(String text) { println(text) }
    void error(String text) { throw new StepFailure(text) }
    String pwd() { ctx().directory }
    String readFile(String path) { output("cat '${path}'") }
    boolean fileExists(String path) { execute("test -e '${path}'", true).code == 0 }
    void writeFile(Map it) { withEnv(["TEXT=${it.text}"]) { sh("printf %s \"\$TEXT\" >'${it.file}'") } }
    def sh(String script) { sh(script: script) }
    def sh(Map it) {
        def done = execute(it.script.toString(), it.returnStdout as boolean)
        if (it.returnStatus) return done.code
        if (done.code) throw new StepFailure("script returned exit code ${done.code}:\n${it.script}")
        it.returnStdout ? done.output : null
    }

    String output(String script) { sh(script: script, returnStdout: true).trim() }

    private Map execute(String script, boolean keep) {
        if (configuration.describe) {
            tell(sh: script, env: ctx().env, container: ctx().container, directory: ctx().directory)
            return [code: 0, output: 'cat']
        }
        def env = ctx().env + [JPA_SCRIPT: script, JPA_DIRECTORY: ctx().directory]
        // As WithContainerStep: the environment by --env, the step's own shell inside.
        def inside = 'docker exec' + env.keySet().collect { " --env ${it}" }.join('') + " '${ctx().inside}' sh -c"
        def line = 'cd "$JPA_DIRECTORY"; exec sh -xe -c "$JPA_SCRIPT"'
        def argv = configuration.exec + (configuration.exec ? env.keySet().collectMany { ['--env', it] } : []) +
            configuration.target + ['sh', '-c', ctx().inside ? "${inside} '${line}'" : line]
        def builder = new ProcessBuilder(argv*.toString()).redirectInput(new File('/dev/null'))
        builder.environment().putAll(env.collectEntries { k, v -> [k, v.toString()] })
        if (keep) builder.redirectError(ProcessBuilder.Redirect.INHERIT) else builder.redirectErrorStream(true)
        def process = builder.start()
        def text = new StringBuilder()
        process.inputStream.eachLine { if (keep) text << it << '\n' else println(it) }
        [code: process.waitFor(), output: text.toString()]
    }
}

class Asked {
    Map asked

    def invokeMethod(String name, arguments) {
        if (name == 'merge') return 'merge'
        this.@asked[name] = arguments[0]
    }
}

class EnvironmentVariable {
    Object getProperty(String name) { Jenkinsfile.ctx().env[name] }
    void setProperty(String name, value) { Jenkinsfile.ctx().env[name] = value.toString() }
}

class EnvironmentBlock {
    def steps

    void setProperty(String name, value) {
        if (name == 'steps') { this.@steps = value; return }
        if (value instanceof Map) {
            def known = Jenkinsfile.configuration.credentials[value.credentials]
            def all = known.secret ? [(name): known.secret] :
                [(name): "${known.username}:${known.password}", ("${name}_USR".toString()): known.username,
                 ("${name}_PSW".toString()): known.password]
            Jenkinsfile.ctx().env.putAll(all)
        } else {
            Jenkinsfile.ctx().env[name] = value.toString()
        }
    }

    Object getProperty(String name) { this.@steps.getProperty(name) }
}

class DockerVariable {
    def steps

    Image build(String name, String arguments = '.') {
        steps.withEnv(["JD_IMAGE=${name}"]) { steps.sh('docker build -t "$JD_IMAGE" ' + arguments) }
        image(name)
    }

    Image image(String name) { new Image(steps: steps, id: name) }

    def withRegistry(String url, String credentials = null, Closure body) {
        def directory = "${Jenkinsfile.ctx().env.WORKSPACE}@tmp/${UUID.randomUUID()}"
        def known = credentials ? Jenkinsfile.configuration.credentials[credentials] : null
        steps.withEnv(["DOCKER_CONFIG=${directory}", "DOCKER_REGISTRY_URL=${url}"]) {
            steps.sh('set +x; mkdir -p "$DOCKER_CONFIG"')
            try {
                if (known) {
                    steps.withEnv(["JD_USER=${known.username}", "JD_PASSWORD=${known.password}"]) {
                        steps.sh('set +x; docker login -u "$JD_USER" -p "$JD_PASSWORD" "$DOCKER_REGISTRY_URL"')
                    }
                }
                body()
            } finally {
                steps.sh('rm -rf "$DOCKER_CONFIG"')
            }
        }
    }
}

class Image {
    def steps
    String id

    String imageName() {
        def url = Jenkinsfile.ctx().env.DOCKER_REGISTRY_URL
        url ? "${new URI(url).authority}/${id}" : id
    }

    void pull() { steps.withEnv(["JD_IMAGE=${imageName()}"]) { steps.sh('docker pull "$JD_IMAGE"') } }

    void push(String tag = null) {
        def bare = id.replaceFirst(/:[^:\/]+$/, '')
        def given = id == bare ? 'latest' : id.substring(bare.length() + 1)
        def full = new Image(steps: steps, id: "${bare}:${tag ?: given}").imageName()
        steps.withEnv(["JD_ID=${id}", "JD_IMAGE=${full}"]) {
            steps.sh('docker tag "$JD_ID" "$JD_IMAGE"')
            steps.sh('docker push "$JD_IMAGE"')
        }
    }

    def inside(String arguments = '', Closure body) {
        def workspace = Jenkinsfile.ctx().env.WORKSPACE
        steps.withEnv(["JD_IMAGE=${imageName()}"]) {
            if (steps.sh(script: 'docker inspect -f . "$JD_IMAGE"', returnStatus: true)) steps.sh('docker pull "$JD_IMAGE"')
            def id = steps.output('docker run -t -d -u "$(id -u):$(id -g)" ' + arguments +
                " -w '${workspace}' -v '${workspace}:${workspace}:rw,z' -v '${workspace}@tmp:${workspace}@tmp:rw,z'" +
                ' -e BUILD=1 "$JD_IMAGE" cat')
            try {
                if (!steps.output("docker top ${id} -eo pid,comm").contains('cat')) steps.error("cat does not run in ${id}")
                steps.within({ it.inside = id }, body)
            } finally {
                steps.sh("docker stop --time=1 ${id}; docker rm -f --volumes ${id}")
            }
        }
    }

    def withRun(String arguments = '', String command = '', Closure body) {
        def id = steps.output("docker run -d ${arguments} ${imageName()} ${command}")
        try { body([id: id]) } finally { steps.sh("docker stop ${id} && docker rm -f --volumes ${id}") }
    }
}

def configuration = new JsonSlurper().parse(new File(args[0]))
Jenkinsfile.configuration = configuration
System.setProperty('sandbox', "${configuration.sandbox ?: false}")
def compiler = new CompilerConfiguration(scriptBaseClass: 'Jenkinsfile')
compiler.addCompilationCustomizers(new Cps())
def shell = new GroovyShell(this.class.classLoader, new Binding(), compiler)
if (configuration.library) {
    new File(configuration.library).eachFileMatch(~/.*\.groovy/) {
        Jenkinsfile.library[it.name - '.groovy'] = shell.parse(it)
    }
}
for (file in configuration.files) {
    Jenkinsfile.tell(file: file)
    Jenkinsfile.CURRENT.set(new Context(directory: configuration.workspace,
        env: new LinkedHashMap(configuration.env + [WORKSPACE: configuration.workspace])))
    try {
        // As Jenkins does: the name of the file is none of the class, which may hold no dash.
        shell.parse(new File(file).text, 'WorkflowScript').run()
    } catch (StepFailure | FlowInterruptedException failure) {
        println("${failure instanceof FlowInterruptedException ? failure.result : 'FAILURE'}: ${failure.message}")
        System.exit(1)
    }
}
