package org.jenkinsci.plugins.workflow.support.steps

/** Stands in for workflow-durable-task-step's: one of the causes that its AgentErrorCondition takes for an agent's. */
class ExecutorStepExecution {
    static boolean retryable(cause) { cause instanceof RemovedNodeCause }

    static class RemovedNodeCause implements Serializable {
        String getShortDescription() { 'Agent was removed' }
    }
}
