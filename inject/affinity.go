package inject

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// maxTerms bounds the cross product of the pod's terms and the policy's.
const maxTerms = 512

// requirement is a NodeSelectorRequirement and whether it is one of matchFields.
type requirement struct {
	corev1.NodeSelectorRequirement
	field bool
	json  json.RawMessage
}

func (r *requirement) list() string {
	if r.field {
		return "matchFields"
	}
	return "matchExpressions"
}

type termAddition struct {
	requirements []requirement
	json         json.RawMessage
}

type preferredAddition struct {
	term corev1.PreferredSchedulingTerm
	json json.RawMessage
}

// podTerm is one of the pod's own nodeSelectorTerms.
type podTerm struct {
	index        int
	raw          rawjson.Value
	requirements []requirement
}

// addNodeSelection adds the policy's nodeSelector and node affinity, and returns what contradicts the pod's own.
func (policy *placement) addNodeSelection(p *pod, spec *patch.Cursor) (contradiction string) {
	if p.nodeName != "" {
		// The kubelet of that node would refuse a pod whose node selection it does not match.
		return ""
	}
	if contradiction := policy.contradiction(p); contradiction != "" {
		return contradiction
	}
	for _, add := range policy.nodeSelector {
		if _, set := p.nodeSelector.Get(add.key).Str(); !set {
			spec.Member("nodeSelector").Member(add.key).Set(patch.String(add.value))
		}
	}
	if len(policy.nodeSelector)+len(policy.required) > 0 {
		policy.addRequiredTerms(p, p.requiredTerms(), spec)
	}
	policy.addPreferredTerms(p, spec)
	return ""
}

// contradiction returns what contradicts the pod's own node selection, empty for nothing. That there is nothing is remembered
// of one placement: the one by which the pod's engine was chosen is then added.
func (policy *placement) contradiction(p *pod) string {
	if p.fits == policy || len(policy.nodeSelector)+len(policy.required) == 0 {
		return ""
	}
	for _, add := range policy.nodeSelector {
		value, set := p.nodeSelector.Get(add.key).Str()
		if other := policy.selects(add.key); other != add.value {
			return fmt.Sprintf("the engine's nodes and the policy's nodeSelector differ: %s=%s and %s", add.key, other, add.value)
		}
		if set && value != add.value {
			return fmt.Sprintf("the pod's nodeSelector has %s=%s, the policy's has %s", add.key, value, add.value)
		}
	}
	terms := p.requiredTerms()
	if len(terms)*len(policy.required) > maxTerms {
		return fmt.Sprintf("the pod's %d nodeSelectorTerms and the policy's %d combine to more than %d", len(terms), len(policy.required), maxTerms)
	}
	if !policy.satisfiable(p, terms) {
		return "no node can match both the pod's node selection and the policy's"
	}
	p.fits = policy
	return ""
}

// requiredTerms returns the pod's own terms, read once.
func (p *pod) requiredTerms() []podTerm {
	if !p.termsRead {
		p.terms, p.termsRead = readTerms(p.nodeAffinity.Get(fieldRequired).Get("nodeSelectorTerms")), true
	}
	return p.terms
}

// selects returns the first value that the placement has for a label.
func (policy *placement) selects(key string) string {
	for _, add := range policy.nodeSelector {
		if add.key == key {
			return add.value
		}
	}
	return ""
}

const (
	fieldRequired  = "requiredDuringSchedulingIgnoredDuringExecution"
	fieldPreferred = "preferredDuringSchedulingIgnoredDuringExecution"
)

// addRequiredTerms ANDs the policy's terms into the pod's. Terms are ORed, so the result is the cross product: each of the
// pod's terms gains the requirements of the policy's first term where it stands, and a copy of it is appended for each
// further one. A term that already holds all of one of the policy's stays as it is; an empty term matches no node, and
// must not begin to.
func (policy *placement) addRequiredTerms(p *pod, terms []podTerm, spec *patch.Cursor) {
	if len(policy.required) == 0 {
		return
	}
	at := spec.Member("affinity").Member("nodeAffinity").Member(fieldRequired).Member("nodeSelectorTerms")
	if p.nodeAffinity.Get(fieldRequired).Get("nodeSelectorTerms").Len() == 0 {
		for _, add := range policy.required {
			at.Append(add.json)
		}
		return
	}
	for _, own := range terms {
		if slices.ContainsFunc(policy.required, own.holdsAll) {
			continue
		}
		for i, add := range policy.required {
			if i == 0 {
				element := at.Element(own.index, own.raw)
				for _, r := range own.missing(add) {
					element.Member(r.list()).Append(r.json)
				}
				continue
			}
			at.Append(own.with(add))
		}
	}
}

func readTerms(list rawjson.Value) []podTerm {
	var terms []podTerm
	for i, v := range list.Elements() {
		t := podTerm{index: i, raw: v}
		for _, field := range []bool{false, true} {
			r := requirement{field: field}
			for _, e := range v.Get(r.list()).Elements() {
				r.Key, _ = e.Get("key").Str()
				operator, _ := e.Get("operator").Str()
				r.Operator = corev1.NodeSelectorOperator(operator)
				r.Values = nil
				for _, value := range e.Get("values").Elements() {
					s, _ := value.Str()
					r.Values = append(r.Values, s)
				}
				t.requirements = append(t.requirements, r)
			}
		}
		if len(t.requirements) > 0 {
			terms = append(terms, t)
		}
	}
	return terms
}

func (t *podTerm) holds(r requirement) bool {
	return slices.ContainsFunc(t.requirements, func(own requirement) bool {
		return own.field == r.field && own.Key == r.Key && own.Operator == r.Operator && slices.Equal(own.Values, r.Values)
	})
}

func (t podTerm) holdsAll(add termAddition) bool { return len(t.missing(add)) == 0 }

func (t *podTerm) missing(add termAddition) []requirement {
	var missing []requirement
	for _, r := range add.requirements {
		if !t.holds(r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// with returns a copy of the term, unknown fields included, that also has the requirements of add.
func (t *podTerm) with(add termAddition) json.RawMessage {
	extra := map[string][]json.RawMessage{}
	for _, r := range t.missing(add) {
		extra[r.list()] = append(extra[r.list()], r.json)
	}
	term := map[string]json.RawMessage{}
	for name, v := range t.raw.Members() {
		term[name] = json.RawMessage(v.Text())
		if more := extra[name]; len(more) > 0 {
			var elements []json.RawMessage
			for _, e := range v.Elements() {
				elements = append(elements, json.RawMessage(e.Text()))
			}
			term[name] = mustMarshal(append(elements, more...))
			delete(extra, name)
		}
	}
	for name, more := range extra {
		term[name] = mustMarshal(more)
	}
	return mustMarshal(term)
}

// satisfiable reports whether a node could match both the pod's node selection and the policy's, as far as their values
// tell without knowing the nodes.
func (policy *placement) satisfiable(p *pod, terms []podTerm) bool {
	var podSelects, policySelects []requirement
	for key, v := range p.nodeSelector.Members() {
		value, _ := v.Str()
		podSelects = append(podSelects, isIn(key, value))
	}
	for _, add := range policy.nodeSelector {
		policySelects = append(policySelects, isIn(add.key, add.value))
	}
	if excludes(podSelects, policySelects) {
		return false
	}
	if len(terms) == 0 {
		terms = []podTerm{{}}
	}
	required := policy.required
	if len(required) == 0 {
		required = []termAddition{{}}
	}
	for _, add := range required {
		if excludes(podSelects, add.requirements) {
			continue
		}
		for _, own := range terms {
			if !excludes(own.requirements, add.requirements) && !excludes(own.requirements, policySelects) {
				return true
			}
		}
	}
	return false
}

// isIn is what a nodeSelector's key and value mean as a requirement.
func isIn(key, value string) requirement {
	return requirement{NodeSelectorRequirement: corev1.NodeSelectorRequirement{
		Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}}
}

func excludes(a, b []requirement) bool {
	for _, x := range a {
		for _, y := range b {
			if x.field == y.field && x.Key == y.Key && (disjoint(x, y) || disjoint(y, x)) {
				return true
			}
		}
	}
	return false
}

// disjoint reports whether no label value can meet both requirements on the same key.
func disjoint(x, y requirement) bool {
	in, notIn := corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn
	exists, absent := corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist
	switch {
	case x.Operator == in && y.Operator == in:
		return !slices.ContainsFunc(x.Values, func(v string) bool { return slices.Contains(y.Values, v) })
	case x.Operator == in && y.Operator == notIn:
		return !slices.ContainsFunc(x.Values, func(v string) bool { return !slices.Contains(y.Values, v) })
	case x.Operator == absent:
		return y.Operator == in || y.Operator == exists
	}
	return false
}

// addPreferredTerms appends the policy's preferences that the pod does not have already.
func (policy *placement) addPreferredTerms(p *pod, spec *patch.Cursor) {
	if len(policy.preferred) == 0 {
		return
	}
	var own []corev1.PreferredSchedulingTerm
	for _, v := range p.nodeAffinity.Get(fieldPreferred).Elements() {
		var term corev1.PreferredSchedulingTerm
		if json.Unmarshal([]byte(v.Text()), &term) == nil {
			own = append(own, term)
		}
	}
	for _, add := range policy.preferred {
		same := func(t corev1.PreferredSchedulingTerm) bool { return reflect.DeepEqual(t, add.term) }
		if !slices.ContainsFunc(own, same) {
			spec.Member("affinity").Member("nodeAffinity").Member(fieldPreferred).Append(add.json)
		}
	}
}
