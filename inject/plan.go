package inject

import (
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// Decision is what becomes of a pod.
type Decision string

// The decisions.
const (
	// DecisionInjected is a pod that is admitted with what was added, or that has it already.
	DecisionInjected Decision = "injected"
	// DecisionSkipped is a pod that injection does not apply to, admitted without an engine.
	DecisionSkipped Decision = "skipped"
	// DecisionAdmitted is a pod that asked and cannot have it, admitted without an engine because onError says so.
	DecisionAdmitted Decision = "admitted"
	// DecisionRefused is a pod that asked and cannot have it, refused.
	DecisionRefused Decision = "refused"
	// DecisionError is a request that could not be answered.
	DecisionError Decision = "error"
)

// gitlabRetrySeconds makes client-go repeat a refused creation: GitLab's executor would fail the job at once. No other
// creator gets it, as waiting inside the call would hold ARC's reconcile workers.
const gitlabRetrySeconds = 5

// Plan is what is to be done with a pod, and why.
type Plan struct {
	Decision Decision
	Reason   Reason
	// Detail adds to the reason's sentence what is particular to this pod; it may be empty.
	Detail string
	// System is the CI system that made the pod.
	System System
	// Status is what the status annotation records; nil where the pod gets none.
	Status *Status
	// Warnings are sentences for whoever creates the pod.
	Warnings []string
	// Operations is the JSON patch, nil where there is nothing to do.
	Operations []jsonpatch.Operation
	// RetryAfterSeconds is set on a refusal whose creator should repeat the call by itself.
	RetryAfterSeconds int32
}

// Message returns the reason's sentence with the detail, and, where something is wrong, the remedy and where to read more, in
// one line.
func (p *Plan) Message() string {
	message := p.Reason.Sentence()
	if p.Detail != "" {
		message = strings.TrimSuffix(message, ".") + " (" + p.Detail + ")."
	}
	if remedy := p.Reason.Remedy(); remedy != "" {
		message += " " + remedy + " See " + p.Reason.URL()
	}
	return message
}

// WarningPrefix begins every warning, so that whoever reads the API server's warnings knows ours.
const WarningPrefix = "dagger-inject: "

// maxWarnings is how many bytes all warnings of an answer may have: above 4,096 characters the API server cuts each of them to
// 256 (k8s.io/apiserver, endpoints/filters, warning.go).
const maxWarnings = 4000

// warn adds a warning, cut to what may still be said; the first are the weightiest. A warning with a control character is dropped
// by the API server (k8s.io/apimachinery, NewWarningHeader); what is left kubectl writes to a terminal.
func (p *Plan) warn(text string) {
	left := maxWarnings
	for _, said := range p.Warnings {
		left -= len(said)
	}
	text = terminal.Escape(WarningPrefix + text)
	if len(text) > left {
		if left < 100 {
			return
		}
		text = truncate.Text(text, left)
	}
	p.Warnings = append(p.Warnings, text)
}

// skip ends with a reason of the class "does not apply". Whoever asked with the pod's own label is told.
func (p *Plan) skip(reason Reason, detail string, tell bool) *Plan {
	p.Decision, p.Reason, p.Detail = DecisionSkipped, reason, detail
	if tell {
		p.warn("not injected: " + p.Message())
	}
	return p
}

// cannot ends with a reason of the class "cannot", which onError turns into a refusal or an admission with a warning.
func (p *Plan) cannot(reason Reason, detail string, onError config.OnError, asked optIn) *Plan {
	p.Reason, p.Detail, p.Operations, p.Status = reason, detail, nil, nil
	refuse := onError == config.OnErrorRefuse || onError != config.OnErrorAdmit && asked.byPod
	if !refuse {
		p.Decision = DecisionAdmitted
		p.warn("admitted without an engine: " + p.Message())
		return p
	}
	p.Decision = DecisionRefused
	if p.System == SystemGitLab {
		p.RetryAfterSeconds = gitlabRetrySeconds
	}
	return p
}

// interrupted ends with a decision that took too long.
func (p *Plan) interrupted() *Plan {
	p.Decision, p.Reason, p.Detail, p.Operations, p.Status = DecisionError, ReasonInternalError, "the decision took too long", nil, nil
	return p
}

// bad ends with a pod that cannot be read.
func (p *Plan) bad(err error) *Plan {
	p.Decision, p.Reason, p.Detail, p.Operations, p.Status = DecisionError, ReasonBadRequest, err.Error(), nil, nil
	return p
}
