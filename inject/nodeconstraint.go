package inject

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// nodeField is a node's label, or one of its fields, that requirements are about.
type nodeField struct {
	key   string
	field bool // it is named by matchFields
}

// constraint merges all requirements of a policy's term on one label. It holds sets: comparing a pod's requirement with it takes one
// look-up for each of the requirement's values, however many values the policy has.
type constraint struct {
	in             map[string]int // the values that are left, by their index; nil for any value
	notIn          map[string]struct{}
	exists, absent bool
}

// constraints are those of one of the policy's terms and of its nodeSelector, by label. Nil means that no node can meet them.
type constraints map[nodeField]*constraint

// newConstraints merges requirements. It returns nil where they exclude each other.
func newConstraints(requirements ...[]requirement) constraints {
	all := constraints{}
	for _, list := range requirements {
		for _, r := range list {
			key := nodeField{r.Key, r.field}
			if all[key] == nil {
				all[key] = &constraint{}
			}
			all[key].merge(&r.NodeSelectorRequirement)
		}
	}
	for _, c := range all {
		if c.absent && c.exists || c.in != nil && len(c.in) == 0 {
			return nil
		}
	}
	return all
}

func (c *constraint) merge(r *corev1.NodeSelectorRequirement) {
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		c.exists = true
		values := map[string]int{}
		for _, v := range r.Values {
			_, among := c.in[v]
			_, not := c.notIn[v]
			if (c.in == nil || among) && !not {
				values[v] = 0
			}
		}
		c.in = values
	case corev1.NodeSelectorOpNotIn:
		if c.notIn == nil {
			c.notIn = map[string]struct{}{}
		}
		for _, v := range r.Values {
			c.notIn[v] = struct{}{}
			delete(c.in, v)
		}
	case corev1.NodeSelectorOpDoesNotExist:
		c.absent = true
	default: // Exists, and Gt and Lt, which no node without the label meets
		c.exists = true
	}
	next := 0
	for v := range c.in {
		c.in[v], next = next, next+1
	}
}

// excludes reports whether no value of the label can meet both the constraint and a pod's requirement. It takes one look-up for
// each of the requirement's values.
func (c *constraint) excludes(r *requirement) bool {
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		if c.absent {
			return true
		}
		for _, v := range r.Values {
			if c.accepts(v) {
				return false
			}
		}
		return true
	case corev1.NodeSelectorOpNotIn:
		if c.in == nil || len(r.Values) < len(c.in) {
			return false
		}
		left, seen := len(c.in), make([]bool, len(c.in))
		for _, v := range r.Values {
			if n, is := c.in[v]; is && !seen[n] {
				seen[n] = true
				left--
			}
		}
		return left == 0
	case corev1.NodeSelectorOpDoesNotExist:
		return c.exists
	}
	return c.absent
}

func (c *constraint) accepts(value string) bool {
	if c.absent {
		return false
	}
	if c.in != nil {
		_, is := c.in[value]
		return is
	}
	_, not := c.notIn[value]
	return !not
}

// excludesAny reports whether no node can meet both the constraints and all of a pod's requirements.
func (all constraints) excludesAny(requirements []requirement) bool {
	for i := range requirements {
		r := &requirements[i]
		if c := all[nodeField{r.Key, r.field}]; c != nil && c.excludes(r) {
			return true
		}
	}
	return false
}

// excludesSelector is the same for a pod's nodeSelector.
func (all constraints) excludesSelector(selector rawjson.Value) bool {
	for key, v := range selector.Members() {
		value, _ := v.Str()
		if c := all[nodeField{key: key}]; c != nil && !c.accepts(value) {
			return true
		}
	}
	return false
}

// satisfiable reports whether a node could match both the pod's node selection and the placement's, as far as their values
// tell without knowing the nodes. It compares each of the pod's terms with each of the placement's, which tooLarge bounds.
func (pl *placement) satisfiable(p *pod, terms []podTerm, stop interruption) bool {
	for _, add := range pl.constraints {
		if stop.now() {
			return false
		}
		if add == nil || add.excludesSelector(p.nodeSelector) {
			continue
		}
		if len(terms) == 0 {
			return true
		}
		for i := range terms {
			if !add.excludesAny(terms[i].requirements) {
				return true
			}
		}
	}
	return false
}
