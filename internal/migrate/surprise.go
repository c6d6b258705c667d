package migrate

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

// surprise says what else an edit would change, by a patch that counts, replaces or tests what the edit takes out; empty for nothing.
func (t *task) surprise(edited *workload) string {
	if len(t.patches) == 0 {
		return ""
	}
	for _, one := range edited.unapplied {
		if !slices.Contains(t.unapplied, one) {
			return "without its wiring " + one + ": remove the wiring by hand"
		}
	}
	want, got := without(t.pod, t.wiring.pointers()), clone(edited.pod).(map[string]any)
	for _, pod := range []map[string]any{want, got} {
		delete(object(pod, "metadata", "labels"), inject.LabelInject)
		for name := range t.annotations {
			delete(object(pod, "metadata", "annotations"), name)
		}
	}
	at, differ := firstDifference(withoutEmpty(want), withoutEmpty(got), "")
	if !differ {
		return ""
	}
	return fmt.Sprintf("without its wiring the pod would be another one at %s, since what stands there is counted, tested or replaced by %s: "+
		"remove the wiring by hand", at, strings.Join(t.patches, " or "))
}

// firstDifference returns where two values differ.
func firstDifference(a, b any, at string) (string, bool) {
	if reflect.DeepEqual(a, b) {
		return "", false
	}
	x, xObject := a.(map[string]any)
	y, yObject := b.(map[string]any)
	if xObject && yObject {
		for _, name := range slices.Concat(sortedNames(x), sortedNames(y)) {
			if where, differ := firstDifference(x[name], y[name], at+pointer(name)); differ {
				return where, true
			}
		}
	}
	v, vList := a.([]any)
	w, wList := b.([]any)
	if vList && wList {
		for i := range min(len(v), len(w)) {
			if where, differ := firstDifference(v[i], w[i], at+pointer(strconv.Itoa(i))); differ {
				return where, true
			}
		}
	}
	return at, true
}

// withoutEmpty returns what is not empty of a tree: an edit may leave empty lists and objects, or take them too.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, member := range v {
			if m := withoutEmpty(member); m != nil {
				kept[name] = m
			}
		}
		if len(kept) > 0 {
			return kept
		}
		return nil
	case []any:
		var kept []any
		for _, element := range v {
			if e := withoutEmpty(element); e != nil {
				kept = append(kept, e)
			}
		}
		if len(kept) > 0 {
			return kept
		}
		return nil
	}
	return v
}
