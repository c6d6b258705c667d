package migrate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
)

// document is one document of a file, in which entries can be found and edited.
type document interface {
	// tree returns what it has, as encoding/json would decode it.
	tree() any
	// remove returns the edits that take out the entries at these pointers, and what they leave empty.
	remove(pointers []string) ([]edit, error)
	// set returns the edits that set members of mappings.
	set(settings []setting) ([]edit, error)
	// lineAt returns the line of an entry, from 1.
	lineAt(pointer string) int
}

// workload is something in a document that pods are made from.
type workload struct {
	name      string // for messages
	namespace string
	system    inject.System
	pod       map[string]any // as its controller makes it
	origins   []origin
	// labels and annotations are where the document has those of the pods.
	labels, annotations string
	// unread says what of the workload is not read and may be wiring.
	unread []string
	// patches are those that make the pod, and unapplied says which of them cannot be applied, and why.
	patches, unapplied []string
}

// origin maps a part of the pod to where the document has it.
type origin struct{ pod, source string }

// source returns where the document has what the pod has at a pointer; false for what the controller adds.
func (w *workload) source(pod string) (string, bool) {
	best, length := "", -1
	for _, o := range w.origins {
		rest, inside := strings.CutPrefix(pod, o.pod)
		if inside && (rest == "" || rest[0] == '/') && len(o.pod) > length {
			best, length = o.source+rest, len(o.pod)
			if o.source == ofController {
				best = ""
			}
		}
	}
	return best, length >= 0 && best != ""
}

// ofController is the source of what the document does not have.
const ofController = "-"

// typed returns the pod as Kubernetes' own type.
func typed(pod map[string]any) (*corev1.Pod, error) {
	text, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	var p corev1.Pod
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// clone copies what encoding/json decodes.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, member := range v {
			copied[name] = clone(member)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, element := range v {
			copied[i] = clone(element)
		}
		return copied
	}
	return v
}

// get follows names into a tree; nil where they lead nowhere.
func get(v any, names ...string) any {
	for _, name := range names {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

func object(v any, names ...string) map[string]any {
	m, _ := get(v, names...).(map[string]any)
	return m
}

func list(v any, names ...string) []any {
	l, _ := get(v, names...).([]any)
	return l
}

func text(v any, names ...string) string {
	s, _ := get(v, names...).(string)
	return s
}

// has reports whether a tree has something at names.
func has(v any, names ...string) bool { return get(v, names...) != nil }

// without returns a copy of the pod without what is at these pointers.
func without(pod map[string]any, pointers []string) map[string]any {
	copied := clone(pod).(map[string]any)
	sorted := slices.Clone(pointers)
	// The last elements of a list go first, so that the others keep their indices.
	slices.SortFunc(sorted, func(a, b string) int { return comparePointers(b, a) })
	for _, p := range slices.Compact(sorted) {
		parts := names(p)
		drop(copied, parts)
	}
	return copied
}

func comparePointers(a, b string) int {
	x, y := names(a), names(b)
	for i := range min(len(x), len(y)) {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		if errM == nil && errN == nil && m != n {
			return m - n
		}
		if c := strings.Compare(x[i], y[i]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

func drop(tree any, parts []string) {
	parent, last := get(tree, parts[:len(parts)-1]...), parts[len(parts)-1]
	switch parent := parent.(type) {
	case map[string]any:
		delete(parent, last)
	case []any:
		i, err := strconv.Atoi(last)
		if err != nil || i < 0 || i >= len(parent) {
			return
		}
		put(tree, parts[:len(parts)-1], slices.Delete(slices.Clone(parent), i, i+1))
	}
}

// put sets a value in a tree whose parents exist.
func put(tree any, parts []string, value any) {
	parent, last := get(tree, parts[:len(parts)-1]...), parts[len(parts)-1]
	switch parent := parent.(type) {
	case map[string]any:
		parent[last] = value
	case []any:
		if i, err := strconv.Atoi(last); err == nil && i >= 0 && i < len(parent) {
			parent[i] = value
		}
	}
}

// member returns the object at a name of another, and makes it if it is not there.
func member(of map[string]any, name string) map[string]any {
	m, ok := of[name].(map[string]any)
	if !ok {
		m = map[string]any{}
		of[name] = m
	}
	return m
}

// subject names an object for messages.
func subject(kind, namespace string, metadata map[string]any) string {
	name := text(metadata, "name")
	if name == "" {
		name = text(metadata, "generateName") + "*"
	}
	return fmt.Sprintf("%s %s/%s", kind, namespace, name)
}
