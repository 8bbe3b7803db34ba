package org.jenkinsci.plugins.workflow.steps

import hudson.model.Result

/** Stands in for workflow-step-api's; in a sandbox its constructor is on no whitelist of script-security. */
class FlowInterruptedException extends InterruptedException {
    final Result result
    final boolean actualInterruption
    final List causes

    FlowInterruptedException(Result result, boolean actualInterruption, Object... causes) {
        if (Boolean.getBoolean('sandbox')) {
            throw new SecurityException('Scripts not permitted to use new org.jenkinsci.plugins.workflow.steps.FlowInterruptedException')
        }
        this.result = result
        this.actualInterruption = actualInterruption
        this.causes = causes as List
    }

    @Override
    String getMessage() { causes*.shortDescription.join(', ') }
}
