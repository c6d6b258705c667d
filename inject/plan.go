package inject

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// Decision is what happens to a pod.
type Decision string

// The decisions.
const (
	// DecisionInjected is a pod that is admitted with what was added, or that already has it.
	DecisionInjected Decision = "injected"
	// DecisionSkipped is a pod that injection does not apply to, admitted without an engine.
	DecisionSkipped Decision = "skipped"
	// DecisionAdmitted is a pod that asked and cannot be injected, and that onError admits without an engine.
	DecisionAdmitted Decision = "admitted"
	// DecisionRefused is a pod that asked and cannot be injected, and that onError refuses.
	DecisionRefused Decision = "refused"
	// DecisionError is a request that could not be answered.
	DecisionError Decision = "error"
)

// gitlabRetrySeconds makes client-go retry a refused creation; GitLab's executor would otherwise fail the job at once. Other
// creators do not get it: client-go waits inside the call, which would block ARC's reconcile workers.
const gitlabRetrySeconds = 5

// Plan is what to do with a pod, and why.
type Plan struct {
	Decision Decision
	Reason   Reason
	// Detail says what is particular to this pod; it may be empty.
	Detail string
	// System is the CI system that made the pod.
	System System
	// Status is what the status annotation records, or nil if the pod gets none.
	Status *Status
	// Warnings are sentences for the creator of the pod.
	Warnings []string
	// Operations is the JSON patch, or nil if there is nothing to do.
	Operations []patch.Operation
	// CacheAffinity is what became of placement by cache.
	CacheAffinity CacheAffinityResult
	// RetryAfterSeconds is set on a refusal that the creator's client should retry by itself.
	RetryAfterSeconds int32
}

// Message returns, in one line, the reason's sentence with the detail; if something is wrong, it adds the remedy and where to
// read more.
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

// WarningPrefix begins every warning, so that readers of the API server's warnings recognise ours.
const WarningPrefix = "dagger-inject: "

// maxWarnings is how many bytes all warnings of an answer may have: above 4,096 characters the API server cuts each of them to
// 256 (k8s.io/apiserver, endpoints/filters, warning.go).
const maxWarnings = 4000

// warn adds a warning, truncated to the space that is left. Add the most important ones first. The API server drops a warning with
// a control character (k8s.io/apimachinery, NewWarningHeader), and kubectl writes the rest to a terminal.
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

// end makes the plan that of a pod with an obstacle, by the class of its reason.
func (p *Plan) end(o *obstacle, onError config.OnError, asked optIn) {
	p.Reason, p.Detail = o.reason, o.detail
	switch o.reason.Class() {
	case ClassDoesNotApply:
		p.Decision = DecisionSkipped
		if tellsCreator(o.reason, asked) {
			p.warn("not injected: " + p.Message())
		}
		return
	case ClassCannot:
		p.refuse(!asked.optional && (onError == config.OnErrorRefuse || onError != config.OnErrorAdmit && asked.byPod))
	default:
		p.Decision = DecisionError
	}
	p.Operations, p.Status = nil, nil
}

// tellsCreator reports whether a pod that is not injected deserves a warning: it asked by its own label, or ran into a policy or an
// annotation that names none of its containers. A container that was wired by hand is what its author wants.
func tellsCreator(reason Reason, asked optIn) bool {
	switch reason {
	case ReasonUnknownLabelValue, ReasonNoTargetContainer:
		return true
	case ReasonAlreadyWired:
		return false
	}
	return asked.byPod
}

// refuse refuses a pod that asked and cannot be injected, or admits it without an engine.
func (p *Plan) refuse(really bool) {
	if !really {
		p.Decision = DecisionAdmitted
		p.warn("admitted without an engine: " + p.Message())
		return
	}
	p.Decision = DecisionRefused
	if p.System == SystemGitLab {
		p.RetryAfterSeconds = gitlabRetrySeconds
	}
}
