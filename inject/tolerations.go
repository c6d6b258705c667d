package inject

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// addTolerations appends the policy's tolerations that no toleration of the pod covers. It compares each of the pod's with at
// most 64 of the policy's and maxOfEngine of an engine's.
func (pl *placement) addTolerations(p *pod, spec *patch.Cursor) {
	if len(pl.tolerations) == 0 {
		return
	}
	own := readTolerations(p, len(pl.tolerations))
	for _, wanted := range pl.tolerations {
		if !coveredByAny(wanted.Toleration, own) {
			spec.Member("tolerations").Append(wanted.json)
			own = append(own, wanted.Toleration)
		}
	}
}

// readTolerations returns the pod's own tolerations, with room for so many more.
func readTolerations(p *pod, more int) []corev1.Toleration {
	own := make([]corev1.Toleration, 0, p.tolerations.Len()+more)
	for _, t := range p.tolerations.Elements() {
		own = append(own, readToleration(t))
	}
	return own
}

func readToleration(v rawjson.Value) corev1.Toleration {
	str := func(name string) string { s, _ := v.Get(name).Str(); return s }
	t := corev1.Toleration{
		Key:      str("key"),
		Operator: corev1.TolerationOperator(str("operator")),
		Value:    str("value"),
		Effect:   corev1.TaintEffect(str("effect")),
	}
	if seconds, ok := v.Get("tolerationSeconds").Int64(); ok {
		t.TolerationSeconds = &seconds
	}
	return t
}

func coveredByAny(wanted corev1.Toleration, own []corev1.Toleration) bool {
	for _, t := range own {
		if covers(t, wanted) {
			return true
		}
	}
	return false
}

// covers reports whether every taint that b tolerates, and for as long, a tolerates too. The rules are those of the
// scheduler (k8s.io/component-helpers, scheduling/corev1): an empty key with Exists is every key, an empty effect is every
// effect, an empty operator is Equal.
func covers(a, b corev1.Toleration) bool {
	if a.Effect != "" && a.Effect != b.Effect {
		return false
	}
	// A toleration that ends after some seconds does not cover one that lasts longer.
	if a.TolerationSeconds != nil && (b.TolerationSeconds == nil || *b.TolerationSeconds > *a.TolerationSeconds) {
		return false
	}
	if a.Key == "" && a.Operator == corev1.TolerationOpExists {
		return true
	}
	if a.Key != b.Key {
		return false
	}
	switch a.Operator {
	case corev1.TolerationOpExists:
		return true
	case "", corev1.TolerationOpEqual:
		return (b.Operator == "" || b.Operator == corev1.TolerationOpEqual) && a.Value == b.Value
	}
	return false
}
