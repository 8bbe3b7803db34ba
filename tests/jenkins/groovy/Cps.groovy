/*
 * What Jenkins' continuation-passing transformation changes for a Pipeline script, as far as plain Groovy hides it.
 *
 * Taken from workflow-cps-plugin (`lib/`, July 2026): CastBlock.java hands `x as boolean` to ScriptBytecodeAdapter, which
 * gives null for null where compiled Groovy unboxes to false; between two steps the whole program is written to disk, so
 * every local variable must be serializable, and what comes back is a copy.
 */
import org.codehaus.groovy.ast.ASTNode
import org.codehaus.groovy.ast.ClassHelper
import org.codehaus.groovy.ast.ClassNode
import org.codehaus.groovy.ast.CodeVisitorSupport
import org.codehaus.groovy.ast.MethodNode
import org.codehaus.groovy.ast.expr.ArgumentListExpression
import org.codehaus.groovy.ast.expr.BinaryExpression
import org.codehaus.groovy.ast.expr.CastExpression
import org.codehaus.groovy.ast.expr.ClosureExpression
import org.codehaus.groovy.ast.expr.DeclarationExpression
import org.codehaus.groovy.ast.expr.Expression
import org.codehaus.groovy.ast.expr.ListExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.ast.expr.StaticMethodCallExpression
import org.codehaus.groovy.ast.expr.TupleExpression
import org.codehaus.groovy.ast.expr.VariableExpression
import org.codehaus.groovy.ast.stmt.BlockStatement
import org.codehaus.groovy.ast.stmt.CatchStatement
import org.codehaus.groovy.ast.stmt.ExpressionStatement
import org.codehaus.groovy.ast.stmt.ForStatement
import org.codehaus.groovy.ast.stmt.Statement
import org.codehaus.groovy.classgen.GeneratorContext
import org.codehaus.groovy.control.CompilePhase
import org.codehaus.groovy.control.SourceUnit
import org.codehaus.groovy.control.customizers.CompilationCustomizer
import org.codehaus.groovy.syntax.Token
import org.codehaus.groovy.syntax.Types

class Cps extends CompilationCustomizer {
    /** The steps after which Jenkins writes the program down. */
    static final Set STEPS = ['sh', 'echo', 'readFile', 'writeFile', 'fileExists', 'withEnv', 'withCredentials', 'podTemplate',
                              'node', 'container', 'dir', 'pwd'] as Set

    Cps() { super(CompilePhase.CONVERSION) }

    void call(SourceUnit source, GeneratorContext context, ClassNode node) {
        def own = node.methods.findAll { !(it.annotations*.classNode*.nameWithoutPackage).contains('NonCPS') }
        for (MethodNode method in own) {
            if (method.code == null) continue
            method.code.visit(new Casts())
            new Frames(names: STEPS + own*.name - ['run', 'main']).walk(method.code, method.parameters*.name as List)
        }
    }

    /** Write values to bytes and read them again, as one graph; what Jenkins can write too stays. */
    static List restored(List values) {
        def bytes = new ByteArrayOutputStream()
        new ObjectOutputStream(bytes).withStream { it.writeObject(new ArrayList(values.collect { mine(it) ? it : null })) }
        def read = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())).withStream { it.readObject() }
        [values, read].transpose().collect { before, after -> mine(before) ? after : before }
    }

    private static boolean mine(value) {
        !(value instanceof Closure || value instanceof Script || value?.class?.name in ['Image', 'DockerVariable'])
    }

    private static class Casts extends CodeVisitorSupport {
        @Override
        void visitCastExpression(CastExpression expression) {
            if (expression.coerce && ClassHelper.isPrimitiveType(expression.type)) {
                expression.type = ClassHelper.getWrapper(expression.type)
            }
            super.visitCastExpression(expression)
        }
    }

    /** Adds `(a, b) = Cps.restored([a, b])` behind every statement that runs a step. */
    private static class Frames {
        Set names

        void walk(ASTNode node, List locals, boolean looped = false) {
            if (node instanceof BlockStatement) {
                def here = new ArrayList(locals)
                def statements = []
                for (Statement statement in node.statements) {
                    walk(statement, here)
                    statements << statement
                    if (statement instanceof ExpressionStatement) {
                        if (statement.expression instanceof DeclarationExpression) {
                            here.addAll(declared(statement.expression))
                        }
                        // the last statement is what a method or a closure gives
                        def last = statement.is(node.statements[-1]) && !looped
                        if (here && !last && steps(statement)) statements << survival(here)
                    }
                }
                node.statements.clear()
                node.statements.addAll(statements)
            } else {
                def inside = new ArrayList(locals)
                if (node instanceof ForStatement && node.variable.name != 'forLoopDummyParameter') inside << node.variable.name
                if (node instanceof CatchStatement) inside << node.variable.name
                if (node instanceof ClosureExpression) inside.addAll(node.parameters*.name ?: [])
                parts(node).each { walk(it, inside, node instanceof ForStatement) }
            }
        }

        private static List declared(DeclarationExpression expression) {
            expression.multipleAssignmentDeclaration ? expression.tupleExpression.expressions*.name :
                [expression.variableExpression.name]
        }

        private boolean steps(Statement statement) {
            def calls = new Calls(names: names)
            statement.visit(calls)
            calls.found
        }

        private static Statement survival(List locals) {
            def mine = { locals.collect { new VariableExpression(it) as Expression } }
            def call = new StaticMethodCallExpression(ClassHelper.make(Cps), 'restored',
                new ArgumentListExpression(new ListExpression(mine())))
            new ExpressionStatement(new BinaryExpression(new TupleExpression(mine()), Token.newSymbol(Types.ASSIGN, -1, -1), call))
        }

        private static List parts(ASTNode node) {
            def below = new Below(top: node)
            node.visit(below)
            below.found
        }
    }

    /** Whether a step is called. */
    private static class Calls extends CodeVisitorSupport {
        Set names
        boolean found

        @Override
        void visitMethodCallExpression(MethodCallExpression call) {
            found |= call.implicitThis && call.methodAsString in names
            super.visitMethodCallExpression(call)
        }
    }

    /** The blocks, loops and closures directly below a node: each has variables of its own. */
    private static class Below extends CodeVisitorSupport {
        ASTNode top
        List found = []

        private boolean own(ASTNode node) {
            if (!node.is(top)) found << node
            node.is(top)
        }

        @Override
        void visitBlockStatement(BlockStatement block) { if (own(block)) super.visitBlockStatement(block) }

        @Override
        void visitClosureExpression(ClosureExpression closure) { if (own(closure)) super.visitClosureExpression(closure) }

        @Override
        void visitForLoop(ForStatement loop) { if (own(loop)) super.visitForLoop(loop) }

        @Override
        void visitCatchStatement(CatchStatement caught) { if (own(caught)) super.visitCatchStatement(caught) }
    }
}
