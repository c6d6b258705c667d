package inject

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// maxTerms bounds how many terms the cross product of the pod's and the policy's may have.
	maxTerms = 512
	// maxTermBytes bounds what is read and copied to make it: the pod's node selection, once for each of the policy's terms.
	maxTermBytes = 1 << 20
)

// requirement is a NodeSelectorRequirement and whether it is one of matchFields.
type requirement struct {
	corev1.NodeSelectorRequirement
	field bool
	id    string // the same for equal requirements only
	json  json.RawMessage
}

func newRequirement(r corev1.NodeSelectorRequirement, field bool) requirement {
	return requirement{r, field, requirementID(&r, field), mustMarshal(r)}
}

// requirementID joins the parts of a requirement with a byte that no valid part contains.
func requirementID(r *corev1.NodeSelectorRequirement, field bool) string {
	list := "expression"
	if field {
		list = "field"
	}
	return strings.Join(append([]string{list, r.Key, string(r.Operator)}, r.Values...), "\x00")
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
	id   string
	json json.RawMessage
}

// podTerm is one of the pod's own nodeSelectorTerms.
type podTerm struct {
	index        int
	raw          rawjson.Value
	requirements []requirement
	ids          map[string]struct{} // of its requirements
}

// addNodeSelection adds the policy's nodeSelector and node affinity, or returns what keeps them from being added.
func (pl *placement) addNodeSelection(p *pod, spec *patch.Cursor, stop interruption) *obstacle {
	if p.nodeName != "" {
		// The kubelet of that node would refuse a pod whose node selection it does not match.
		return nil
	}
	if o := pl.contradiction(p, stop); o != nil {
		return o
	}
	for _, add := range pl.nodeSelector {
		if _, set := p.nodeSelector.Get(add.key).Str(); !set {
			spec.Member("nodeSelector").Member(add.key).Set(patch.String(add.value))
		}
	}
	if pl.selectsNodes() {
		pl.addRequiredTerms(p, p.requiredTerms(), spec, stop)
	}
	pl.addPreferredTerms(p, spec)
	return nil
}

// selectsNodes reports whether the placement is for some nodes only.
func (pl *placement) selectsNodes() bool {
	return len(pl.nodeSelector)+len(pl.required) > 0
}

// contradiction returns why the placement cannot be added to the pod's own node selection, or nil. It remembers the last placement
// that fits, because the choice of an engine asks first and addNodeSelection asks again. Its loop looks up at most maxOfEngine and
// 64 labels in the pod's nodeSelector.
func (pl *placement) contradiction(p *pod, stop interruption) *obstacle {
	if pl.problem != "" {
		return &obstacle{ReasonContradiction, pl.problem}
	}
	if p.fits == pl || !pl.selectsNodes() {
		return nil
	}
	for _, add := range pl.nodeSelector {
		value, set := p.nodeSelector.Get(add.key).Str()
		if other := pl.selects(add.key); other != add.value {
			return obstructf(ReasonContradiction, "the engine's nodes and the policy's nodeSelector differ: %s=%s and %s", add.key, other,
				add.value)
		}
		if set && value != add.value {
			return obstructf(ReasonContradiction, "the pod's nodeSelector has %s=%s, the policy's has %s", add.key, value, add.value)
		}
	}
	if o := pl.tooLarge(p, p.nodeAffinity.Get(fieldRequired).Get("nodeSelectorTerms")); o != nil {
		return o
	}
	if !slices.ContainsFunc(pl.constraints, func(c constraints) bool { return c != nil }) {
		return obstructf(ReasonContradiction, "no node can match all that the policy and the engine ask of a node")
	}
	if !pl.satisfiable(p, p.requiredTerms(), stop) {
		return obstructf(ReasonContradiction, "no node can match both the pod's node selection and the policy's")
	}
	p.fits = pl
	return nil
}

// requiredTerms returns the pod's own terms, read once.
func (p *pod) requiredTerms() []podTerm {
	if !p.termsRead {
		p.terms, p.termsRead = readTerms(p.nodeAffinity.Get(fieldRequired).Get("nodeSelectorTerms")), true
	}
	return p.terms
}

// tooLarge returns an obstacle if the pod's node selection is too large to be combined with the policy's. If the policy has one
// term, the work grows with the pod alone. If it has more, the work grows with the product, which tooLarge bounds.
func (pl *placement) tooLarge(p *pod, terms rawjson.Value) *obstacle {
	if n := terms.Len() * len(pl.required); n > maxTerms {
		return obstructf(ReasonPodTooLarge, "the pod's %d nodeSelectorTerms and the policy's %d combine to more than %d", terms.Len(),
			len(pl.required),
			maxTerms)
	}
	bytes := len(terms.Text()) + len(p.nodeSelector.Text())
	if len(pl.required) > 1 && bytes*len(pl.required) > maxTermBytes {
		return obstructf(ReasonPodTooLarge,
			"the pod's node selection of %d bytes and the policy's %d nodeSelectorTerms combine to more than %d bytes",
			bytes, len(pl.required), maxTermBytes)
	}
	return nil
}

// selects returns the first value that the placement has for a label.
func (pl *placement) selects(key string) string {
	for _, add := range pl.nodeSelector {
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

// addRequiredTerms ANDs the policy's terms into the pod's. Terms are ORed, so the result is the cross product. Each of the pod's
// terms gains the requirements of the policy's first term, and for each further term a copy is appended. A pod's term that already
// has all requirements of one of the policy's stays as it is. An empty term matches no node, so it must stay empty. tooLarge bounds
// the size of the result.
func (pl *placement) addRequiredTerms(p *pod, terms []podTerm, spec *patch.Cursor, stop interruption) {
	if len(pl.required) == 0 {
		return
	}
	at := spec.Member("affinity").Member("nodeAffinity").Member(fieldRequired).Member("nodeSelectorTerms")
	if p.nodeAffinity.Get(fieldRequired).Get("nodeSelectorTerms").Len() == 0 {
		for _, add := range pl.required {
			at.Append(add.json)
		}
		return
	}
	for _, own := range terms {
		if stop.now() {
			return
		}
		if slices.ContainsFunc(pl.required, own.holdsAll) {
			continue
		}
		for i, add := range pl.required {
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
		t := podTerm{index: i, raw: v, requirements: readRequirements(v)}
		if len(t.requirements) == 0 {
			continue
		}
		t.ids = make(map[string]struct{}, len(t.requirements))
		for _, r := range t.requirements {
			t.ids[r.id] = struct{}{}
		}
		terms = append(terms, t)
	}
	return terms
}

// readRequirements returns the requirements of a NodeSelectorTerm.
func readRequirements(term rawjson.Value) []requirement {
	var requirements []requirement
	for _, field := range []bool{false, true} {
		r := requirement{field: field}
		for _, e := range term.Get(r.list()).Elements() {
			r.Key, _ = e.Get("key").Str()
			operator, _ := e.Get("operator").Str()
			r.Operator = corev1.NodeSelectorOperator(operator)
			r.Values = nil
			for _, value := range e.Get("values").Elements() {
				s, _ := value.Str()
				r.Values = append(r.Values, s)
			}
			r.id = requirementID(&r.NodeSelectorRequirement, field)
			requirements = append(requirements, r)
		}
	}
	return requirements
}

func (t podTerm) holdsAll(add termAddition) bool { return len(t.missing(add)) == 0 }

func (t *podTerm) missing(add termAddition) []requirement {
	var missing []requirement
	for _, r := range add.requirements {
		if _, held := t.ids[r.id]; !held {
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

// addPreferredTerms appends the policy's preferences that the pod does not have already. Each of the pod's is read once, and
// compared with all of the policy's by one look-up.
func (pl *placement) addPreferredTerms(p *pod, spec *patch.Cursor) {
	if len(pl.preferred) == 0 {
		return
	}
	own := map[string]struct{}{}
	for _, v := range p.nodeAffinity.Get(fieldPreferred).Elements() {
		weight, _ := v.Get("weight").Int64()
		own[preferenceID(weight, readRequirements(v.Get("preference")))] = struct{}{}
	}
	for _, add := range pl.preferred {
		if _, has := own[add.id]; !has {
			spec.Member("affinity").Member("nodeAffinity").Member(fieldPreferred).Append(add.json)
		}
	}
}

// preferenceID is the same for equal preferences only.
func preferenceID(weight int64, requirements []requirement) string {
	ids := []string{strconv.FormatInt(weight, 10)}
	for _, r := range requirements {
		ids = append(ids, r.id)
	}
	return strings.Join(ids, "\x01")
}
