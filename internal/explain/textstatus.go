package explain

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// shown are the members of the status that the explanation shows elsewhere.
var shown = []string{"version", "containers", "left", "readFrom", "transport", "engine", "cacheAffinity"}

// adds writes the other members of the status annotation.
func (p *page) adds(s *inject.Status) {
	if s == nil {
		return
	}
	text, err := json.Marshal(s)
	if err != nil {
		return
	}
	root, err := new(rawjson.Document).Parse(string(text))
	if err != nil {
		return
	}
	for name, v := range root.Members() {
		if !slices.Contains(shown, name) {
			p.line("status", "%s: %s", name, plain(json.RawMessage(v.Text())))
		}
	}
}

// plain writes a JSON value without the quotes of strings and lists of them.
func plain(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	var list []string
	if json.Unmarshal(value, &list) == nil {
		return strings.Join(list, ", ")
	}
	return string(value)
}

func (p *page) recorded(r *Recorded, outcome Outcome) {
	switch {
	case r == nil:
	case r.Problem != "":
		p.line("recorded", "%s", r.Problem)
	case r.Status == nil && outcome == OutcomeInjected:
		p.line("recorded", "the pod was not injected when it was created: create it anew")
	case r.Status == nil:
		p.line("recorded", "the pod was not injected when it was created")
	case outcome != OutcomeInjected:
		p.line("recorded", "the pod was injected when it was created: %s", r.Status)
	case len(r.Differs) == 0:
		p.line("recorded", "the pod was injected when it was created, as it would be now")
	default:
		p.line("recorded", "the pod was injected when it was created, otherwise than it would be now:")
		for _, d := range r.Differs {
			p.line("recorded", "  %s: %s, now %s", d.Member, Plain(d.Then), Plain(d.Now))
		}
	}
}

// Plain writes a member of the status annotation for people; nil is nothing.
func Plain(value json.RawMessage) string {
	if value == nil {
		return "nothing"
	}
	return plain(value)
}

// Text writes what jobs in the namespace get: both verdicts, then how the more important one came about: that of a job without
// the label if the namespace asks for injection.
func (n *Namespace) Text(w io.Writer) error {
	var p page
	p.verdict(n.Unlabelled)
	p.verdict(n.Labelled)
	p.b.WriteByte('\n')
	p.line("label", "%s", word(inject.LabelInject, n.Label))
	p.line("label", "%s", word("pod-security.kubernetes.io/enforce", n.PodSecurity))
	for _, problem := range n.PolicyProblems {
		p.line("invalid", "%s", problem)
	}
	chain := n.Labelled
	if n.Label == inject.InjectTrue {
		chain = n.Unlabelled
	}
	p.b.WriteByte('\n')
	_ = terminal.Line(&p.b, "how %s is decided on:", chain.Subject)
	p.chain(chain)
	_, err := io.WriteString(w, p.b.String())
	return err
}

func word(label, value string) string {
	if value == "" {
		return "no label " + label
	}
	return label + "=" + value
}
