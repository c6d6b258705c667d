package check

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
)

// checkAPIServer asks the API server for a pod that it does not keep.
func (c *checker) checkAPIServer() {
	if c.Ask == nil {
		return
	}
	answer := c.Ask(c.ctx)
	remedy := ""
	if len(answer.Causes) > 0 {
		remedy = answer.Causes[0]
	}
	switch {
	case answer.Reached():
		c.ok("%s", answer)
	case answer.Outcome == apicheck.Failed && strings.Contains(answer.Said, "is forbidden: User"):
		c.add(Warn, "Ask somebody who may create pods to run the check.", "cannot be tried: %s", answer.Said)
	default:
		c.add(Fail, remedy, "%s", answer)
	}
}
