package inject

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// placement is what is added to a pod to bring it to certain nodes.
type placement struct {
	tolerations  []tolerationAddition
	nodeSelector []labelAddition
	required     []termAddition
	preferred    []preferredAddition
}

type tolerationAddition struct {
	corev1.Toleration
	json json.RawMessage
}

type labelAddition struct{ key, value string }

// newPlacement compiles a policy's own additions.
func newPlacement(s *config.Scheduling) placement {
	var p placement
	for _, t := range s.Tolerations {
		p.tolerations = append(p.tolerations, tolerationAddition{t, mustMarshal(t)})
	}
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		p.nodeSelector = append(p.nodeSelector, labelAddition{key, s.NodeSelector[key]})
	}
	p.required = newTerms(s.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	for _, term := range s.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		p.preferred = append(p.preferred, preferredAddition{term, mustMarshal(term)})
	}
	return p
}

// with returns the placement that also brings a pod to where an engine runs. Where the two name another value for the same
// label, both stay: no node matches, and that is reported as the contradiction that it is.
func (p placement) with(e *engine.Placement) placement {
	p.tolerations = slices.Clip(p.tolerations)
	for _, t := range e.Tolerations {
		p.tolerations = append(p.tolerations, tolerationAddition{t, mustMarshal(t)})
	}
	p.nodeSelector = slices.Clip(p.nodeSelector)
	for _, key := range slices.Sorted(maps.Keys(e.NodeSelector)) {
		if add := (labelAddition{key, e.NodeSelector[key]}); !slices.Contains(p.nodeSelector, add) {
			p.nodeSelector = append(p.nodeSelector, add)
		}
	}
	terms := newTerms(e.Required)
	if len(p.required) == 0 || len(terms) == 0 {
		p.required = slices.Concat(p.required, terms)
		return p
	}
	var both []termAddition
	for _, own := range p.required {
		for _, add := range terms {
			both = append(both, termOf(slices.Concat(own.requirements, add.requirements)))
		}
	}
	p.required = both
	return p
}

func newTerms(s *corev1.NodeSelector) []termAddition {
	if s == nil {
		return nil
	}
	var terms []termAddition
	for _, term := range s.NodeSelectorTerms {
		var requirements []requirement
		for _, r := range term.MatchExpressions {
			requirements = append(requirements, requirement{r, false, mustMarshal(r)})
		}
		for _, r := range term.MatchFields {
			requirements = append(requirements, requirement{r, true, mustMarshal(r)})
		}
		if len(requirements) > 0 { // an empty term matches no node
			terms = append(terms, termOf(requirements))
		}
	}
	return terms
}

func termOf(requirements []requirement) termAddition {
	var term corev1.NodeSelectorTerm
	for _, r := range requirements {
		if r.field {
			term.MatchFields = append(term.MatchFields, r.NodeSelectorRequirement)
		} else {
			term.MatchExpressions = append(term.MatchExpressions, r.NodeSelectorRequirement)
		}
	}
	return termAddition{requirements: requirements, json: mustMarshal(term)}
}
