package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// placement is what is added to a pod to place it on certain nodes.
type placement struct {
	tolerations  []tolerationAddition
	nodeSelector []labelAddition
	required     []termAddition
	preferred    []preferredAddition
	// constraints are what each of the required terms and the nodeSelector ask together; there is one even without a term.
	constraints []constraints
	// problem says why the engine's own placement cannot be copied, or is empty.
	problem string
}

// The bounds of what is copied from an engine. If namespaces run their own engines, anyone who may write a workload there may
// write thousands of each. The policy's own additions have the same bounds, in its validation.
const (
	maxOfEngine      = 64
	maxTermsOfEngine = 16
	maxCombinedBytes = 256 << 10
)

type tolerationAddition struct {
	corev1.Toleration
	json json.RawMessage
}

type labelAddition struct{ key, value string }

// newPlacement compiles a policy's own additions.
func newPlacement(s *config.Scheduling) placement {
	var pl placement
	for _, t := range s.Tolerations {
		pl.tolerations = append(pl.tolerations, tolerationAddition{t, mustMarshal(t)})
	}
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		pl.nodeSelector = append(pl.nodeSelector, labelAddition{key, s.NodeSelector[key]})
	}
	pl.required = newTerms(s.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	for _, term := range s.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		id := preferenceID(int64(term.Weight), requirementsOf(&term.Preference))
		pl.preferred = append(pl.preferred, preferredAddition{id, mustMarshal(term)})
	}
	pl.constrain()
	return pl
}

// constrain merges the nodeSelector and each of the required terms.
func (pl *placement) constrain() {
	var selector []requirement
	for _, add := range pl.nodeSelector {
		selector = append(selector, requirement{NodeSelectorRequirement: corev1.NodeSelectorRequirement{
			Key: add.key, Operator: corev1.NodeSelectorOpIn, Values: []string{add.value}}})
	}
	pl.constraints = nil
	for _, term := range pl.required {
		pl.constraints = append(pl.constraints, newConstraints(selector, term.requirements))
	}
	if len(pl.required) == 0 {
		pl.constraints = []constraints{newConstraints(selector)}
	}
}

// with returns the placement that also places a pod where an engine runs. If the two want different values for the same label,
// it keeps both: no node matches, and the decision reports a contradiction.
func (pl placement) with(e *engine.Placement) placement {
	if pl.problem = tooMuchToCopy(e); pl.problem != "" {
		return pl
	}
	pl.tolerations = slices.Clip(pl.tolerations)
	for _, t := range e.Tolerations {
		pl.tolerations = append(pl.tolerations, tolerationAddition{t, mustMarshal(t)})
	}
	pl.nodeSelector = slices.Clip(pl.nodeSelector)
	for _, key := range slices.Sorted(maps.Keys(e.NodeSelector)) {
		if add := (labelAddition{key, e.NodeSelector[key]}); !slices.Contains(pl.nodeSelector, add) {
			pl.nodeSelector = append(pl.nodeSelector, add)
		}
	}
	terms := newTerms(e.Required)
	if len(pl.required) == 0 || len(terms) == 0 {
		pl.required = slices.Concat(pl.required, terms)
		pl.constrain()
		return pl
	}
	if bytes := len(terms)*jsonBytes(pl.required) + len(pl.required)*jsonBytes(terms); bytes > maxCombinedBytes {
		pl.problem = fmt.Sprintf("the policy's %d nodeSelectorTerms and the engine's %d combine to %d bytes, more than %d",
			len(pl.required), len(terms), bytes, maxCombinedBytes)
		return pl
	}
	var both []termAddition
	for _, own := range pl.required {
		for _, add := range terms {
			both = append(both, termOf(slices.Concat(own.requirements, add.requirements)))
		}
	}
	pl.required = both
	pl.constrain()
	return pl
}

// tooMuchToCopy returns what an engine's workload has more of than is copied to pods, or empty.
func tooMuchToCopy(e *engine.Placement) string {
	terms := 0
	if e.Required != nil {
		terms = len(e.Required.NodeSelectorTerms)
	}
	for _, list := range []struct {
		of         string
		have, most int
	}{
		{"tolerations", len(e.Tolerations), maxOfEngine}, {"nodeSelector labels", len(e.NodeSelector), maxOfEngine},
		{"required nodeSelectorTerms", terms, maxTermsOfEngine},
	} {
		if list.have > list.most {
			return fmt.Sprintf("the engine's workload has %d %s, more than the %d that are copied to pods", list.have, list.of, list.most)
		}
	}
	return ""
}

func jsonBytes(terms []termAddition) int {
	n := 0
	for _, t := range terms {
		n += len(t.json)
	}
	return n
}

func newTerms(s *corev1.NodeSelector) []termAddition {
	if s == nil {
		return nil
	}
	var terms []termAddition
	for _, term := range s.NodeSelectorTerms {
		requirements := requirementsOf(&term)
		if len(requirements) > 0 { // an empty term matches no node
			terms = append(terms, termOf(requirements))
		}
	}
	return terms
}

func requirementsOf(term *corev1.NodeSelectorTerm) []requirement {
	var requirements []requirement
	for _, r := range term.MatchExpressions {
		requirements = append(requirements, newRequirement(r, false))
	}
	for _, r := range term.MatchFields {
		requirements = append(requirements, newRequirement(r, true))
	}
	return requirements
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
