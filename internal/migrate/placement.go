package migrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// placementOf are where a pod's placement is.
var placementPointers = []string{"/spec/tolerations", "/spec/nodeSelector", "/spec/affinity/nodeAffinity"}

// givenPlacement finds what of a pod's own placement injection gives to a pod that has none. What it gives not stays.
func (w *wiring) givenPlacement(pod, bare *corev1.Pod) {
	for i, t := range pod.Spec.Tolerations {
		if slices.ContainsFunc(bare.Spec.Tolerations, func(given corev1.Toleration) bool { return sameToleration(&t, &given) }) {
			w.remove("toleration "+describeToleration(&t), "spec", "tolerations", strconv.Itoa(i))
		}
	}
	for _, key := range sortedNames(pod.Spec.NodeSelector) {
		if given, ok := bare.Spec.NodeSelector[key]; ok && given == pod.Spec.NodeSelector[key] {
			w.remove(fmt.Sprintf("node selector %s=%s", key, given), "spec", "nodeSelector", key)
		}
	}
	own, given := requiredTerms(pod), requiredTerms(bare)
	at := []string{"spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"}
	switch {
	case len(own) == 0 || len(given) == 0:
	case sameTerms(own, given):
		for i, term := range own {
			w.remove("node affinity "+describeTerm(&term), append(at, strconv.Itoa(i))...)
		}
	case len(given) == 1 && len(given[0].MatchFields) == 0:
		w.givenExpressions(own, given[0].MatchExpressions, at)
	}
}

// givenExpressions removes from each of a pod's own terms what the only given one requires, if all of it stands in every term:
// injection requires it of every term again.
func (w *wiring) givenExpressions(own []corev1.NodeSelectorTerm, given []corev1.NodeSelectorRequirement, at []string) {
	for _, term := range own {
		all := !slices.ContainsFunc(given, func(e corev1.NodeSelectorRequirement) bool { return !hasExpression(term.MatchExpressions, &e) })
		if !all || len(term.MatchExpressions)+len(term.MatchFields) == len(given) {
			return // a term that became empty would match nothing
		}
	}
	for n, term := range own {
		for i, e := range term.MatchExpressions {
			if hasExpression(given, &e) {
				w.remove("node affinity "+describeExpression(&e), append(slices.Clone(at), strconv.Itoa(n), "matchExpressions", strconv.Itoa(i))...)
			}
		}
	}
}

func requiredTerms(pod *corev1.Pod) []corev1.NodeSelectorTerm {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

func sameToleration(a, b *corev1.Toleration) bool {
	x, y := *a, *b
	for _, t := range []*corev1.Toleration{&x, &y} {
		if t.Operator == "" {
			t.Operator = corev1.TolerationOpEqual
		}
	}
	return reflect.DeepEqual(x, y)
}

func hasExpression(among []corev1.NodeSelectorRequirement, e *corev1.NodeSelectorRequirement) bool {
	return slices.ContainsFunc(among, func(other corev1.NodeSelectorRequirement) bool {
		return other.Key == e.Key && other.Operator == e.Operator && sameSet(other.Values, e.Values)
	})
}

func sameSet(a, b []string) bool {
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}

func sameTerms(a, b []corev1.NodeSelectorTerm) bool {
	return includesTerms(a, b) && includesTerms(b, a)
}

func includesTerms(all, some []corev1.NodeSelectorTerm) bool {
	for _, term := range some {
		if !slices.ContainsFunc(all, func(other corev1.NodeSelectorTerm) bool { return sameTerm(&term, &other) }) {
			return false
		}
	}
	return true
}

func sameTerm(a, b *corev1.NodeSelectorTerm) bool {
	includes := func(all, some []corev1.NodeSelectorRequirement) bool {
		return !slices.ContainsFunc(some, func(e corev1.NodeSelectorRequirement) bool { return !hasExpression(all, &e) })
	}
	return includes(a.MatchExpressions, b.MatchExpressions) && includes(b.MatchExpressions, a.MatchExpressions) &&
		includes(a.MatchFields, b.MatchFields) && includes(b.MatchFields, a.MatchFields)
}

func describeToleration(t *corev1.Toleration) string {
	text := t.Key
	if t.Value != "" {
		text += "=" + t.Value
	}
	if t.Effect != "" {
		text += ":" + string(t.Effect)
	}
	if text == "" {
		return "of everything"
	}
	return text
}

func describeExpression(e *corev1.NodeSelectorRequirement) string {
	text := e.Key + " " + string(e.Operator)
	if len(e.Values) > 0 {
		text += " " + strings.Join(e.Values, ",")
	}
	return text
}

func describeTerm(term *corev1.NodeSelectorTerm) string {
	var all []string
	for _, e := range slices.Concat(term.MatchExpressions, term.MatchFields) {
		all = append(all, describeExpression(&e))
	}
	return strings.Join(all, " and ")
}

func describeTerms(terms []corev1.NodeSelectorTerm) string {
	var all []string
	for _, term := range terms {
		all = append(all, describeTerm(&term))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " or ")
}

// sameJSON reports whether two values encode to the same.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
