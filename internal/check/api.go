package check

import (
	"encoding/json"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
)

// checkAPIServer asks the API server to create a pod, as a dry run.
func (c *checker) checkAPIServer() {
	if c.Ask == nil {
		return
	}
	answer := c.Ask(c.ctx)
	remedy := ""
	if len(answer.Causes) > 0 {
		remedy = answer.Causes[0]
	}
	if answer.Outcome == apicheck.Unreachable && c.noneReady {
		remedy = "Make a replica ready first: see the line replicas."
	}
	var status inject.Status
	switch {
	case answer.Outcome == apicheck.Injected && json.Unmarshal([]byte(answer.Said), &status) == nil:
		c.ok("the webhook answers: a pod in namespace %s would be injected by %s", answer.Namespace, status.Transport)
	case answer.Reached():
		c.ok("%s", answer)
	case answer.Outcome == apicheck.Failed && strings.Contains(answer.Said, "is forbidden: User"):
		c.add(Warn, "Ask somebody who may create pods to run the check.", "cannot be tried: %s", answer.Said)
	default:
		c.add(Fail, remedy, "%s", answer)
	}
}
