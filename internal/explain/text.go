package explain

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// page writes lines under headings that stand in a column.
type page struct {
	b    strings.Builder
	last string
}

const column = 14

// line writes a line under a heading, which is written once for lines that follow each other.
func (p *page) line(heading, format string, args ...any) {
	shown := heading
	if heading == p.last {
		shown = ""
	}
	p.last = heading
	_ = terminal.Line(&p.b, "%s", strings.TrimRight(fmt.Sprintf("%-*s%s", column, shown, fmt.Sprintf(format, args...)), " "))
}

// Text writes the explanation for people: the verdict, then how it came about.
func (e *Explanation) Text(w io.Writer) error {
	var p page
	p.verdict(e)
	p.b.WriteByte('\n')
	if e.Judged != "" {
		p.line("judged", "%s", e.Judged)
	}
	p.chain(e)
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (p *page) verdict(e *Explanation) {
	word := map[Outcome]string{
		OutcomeInjected: "would be injected", OutcomeDoesNotApply: "would not be injected: injection does not apply",
		OutcomeCannot: "cannot be injected", OutcomeUnknown: "not known",
	}[e.Outcome]
	if e.Reason == inject.ReasonAlreadyInjected {
		word = "is injected"
	}
	if e.Decision == inject.DecisionRefused || e.Decision == inject.DecisionAdmitted {
		word += ", and would be " + string(e.Decision)
	}
	if e.Reason != "" {
		word += " (" + string(e.Reason) + ")"
	}
	if len(e.Unreadable) > 0 && e.Outcome != OutcomeUnknown {
		word += ", as far as can be read"
	}
	_ = terminal.Line(&p.b, "%s: %s", e.Subject, word)
	_ = terminal.Line(&p.b, "  %s", e.Message)
}

// chain writes how the decision came about, in the order of its steps.
func (p *page) chain(e *Explanation) {
	p.entries(e.Entries)
	p.line("asked", "%s", asked(e.AskedBy))
	p.policy(e.Policy)
	if len(e.Containers) > 0 {
		p.line("recognised", "as %s", cmp.Or(string(e.System), "no CI system"))
	}
	p.containers(e)
	p.choices(e)
	p.engine(e.Engine)
	p.scheduling(e.Scheduling)
	p.adds(e.Status)
	for _, warning := range e.Warnings {
		p.line("warning", "%s", strings.TrimPrefix(warning, inject.WarningPrefix))
	}
	p.recorded(e.Recorded, e.Outcome)
	for _, what := range e.Unreadable {
		p.line("unknown", "cannot be read: %s", what)
	}
}

func (p *page) entries(entries []Entry) {
	for _, entry := range entries {
		name := entry.Name
		if entry.Configuration != registration.ConfigurationName {
			name += " of " + entry.Configuration
		}
		if entry.Called {
			p.line("called", "by %s; failurePolicy %s", name, entry.FailurePolicy)
		} else {
			p.line("called", "not by %s: %s", name, entry.Because)
		}
		for _, condition := range entry.NotEvaluated {
			p.line("called", "  its match condition is not evaluated here: %s", condition)
		}
	}
}

// choices writes which engines and transports were considered, and which one was taken.
func (p *page) choices(e *Explanation) {
	word := map[bool]string{true: "taken", false: "left"}
	for _, choice := range e.EngineChoices {
		p.line("engines", "%s: %s: %s", strings.TrimSpace(choice.Workload+" "+choice.Version), word[choice.Taken], choice.Because)
	}
	for _, t := range e.Transports {
		p.line("transport", "%s: %s: %s", strings.TrimSpace(string(t.Transport)+" "+t.Engine), word[t.Taken], t.Because)
	}
}

func (p *page) policy(policy *Policy) {
	if policy == nil {
		return
	}
	for _, problem := range policy.Problems {
		p.line("policy", "%s", problem)
	}
	if policy.Profile != "" {
		p.line("policy", "profile %s", policy.Profile)
	}
	for _, f := range policy.Fields {
		p.line("policy", "%s: %s (%s)", f.Path, f.Value, f.FieldOrigin)
	}
}

// mostContainers is how many containers of a pod are written at most.
const mostContainers = 32

func (p *page) containers(e *Explanation) {
	if e.ContainersBy != "" {
		p.line("containers", "named by %s", e.ContainersBy)
	}
	for i, c := range e.Containers {
		switch {
		case i == mostContainers:
			p.line("containers", "and %d more", len(e.Containers)-i)
			return
		case c.Reached && c.Because == "":
			p.line("containers", "%s: reached", c.Name)
		case c.Reached:
			p.line("containers", "%s: reached; it %s", c.Name, c.Because)
		default:
			p.line("containers", "%s: left: %s", c.Name, c.Because)
		}
	}
}

func (p *page) engine(engine *inject.EngineTrace) {
	switch {
	case engine == nil:
	case engine.Workload != "":
		p.line("engine", "read off %s", engine.Workload)
	case engine.Problem != "":
		p.line("engine", "none is read off the cluster: %s", engine.Problem)
	}
}

func (p *page) scheduling(s *Scheduling) {
	if s == nil {
		return
	}
	for _, t := range s.Tolerations {
		p.line("scheduling", "adds the toleration %s",
			strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)), " "))
	}
	for _, key := range sortedKeys(s.NodeSelector) {
		p.line("scheduling", "adds the nodeSelector %s=%s", key, s.NodeSelector[key])
	}
	if s.NodeAffinity {
		p.line("scheduling", "adds node affinity")
	}
	if s.Nodes != nil {
		text := fmt.Sprintf("%d of %d nodes match now", len(s.Nodes.Matching), s.Nodes.Total)
		if s.EngineOnNode && s.Problem == "" {
			text += fmt.Sprintf(", %d of them with a ready engine", len(s.Nodes.WithEngine))
		}
		p.line("scheduling", "%s", text)
		for i, left := range s.Nodes.Left {
			if i == 8 {
				p.line("scheduling", "  and %d more", len(s.Nodes.Left)-i)
				break
			}
			p.line("scheduling", "  not %s", left)
		}
	}
	switch {
	case s.EngineInPod:
		p.line("scheduling", "the engine is the pod's own, and starts with it")
	case s.Problem != "":
		p.line("scheduling", "whether an engine is ready is not known: %s", s.Problem)
	case len(s.ReadyEngines) == 0:
		p.line("scheduling", "no engine is ready now")
	default:
		p.line("scheduling", "ready engines: %s", joinMost(s.ReadyEngines, 8))
	}
	p.cacheAffinity(s.CacheAffinity)
}
