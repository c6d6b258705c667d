package migrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// The ways in which a patch says what becomes of a pod's spec, by GitLab Runner's names.
const (
	patchStrategic = "strategic"
	patchMerge     = "merge"
	patchJSON      = "json"
)

// podPatch is a patch of a pod's spec that a document has as a text.
type podPatch struct {
	called string // for messages
	kind   string
	text   string
	at     string // the text's pointer in the document
}

// applyPatch applies a patch to the pod as its controller does, with the libraries that GitLab Runner and Argo Workflows use, and
// notes where the document has what the patch gives. What cannot be applied is left out, and is reported if it has wiring.
func (w *workload) applyPatch(p podPatch) {
	w.patches = append(w.patches, p.called)
	if err := w.tryPatch(p); err != nil {
		w.unapplied = append(w.unapplied, fmt.Sprintf("%s cannot be applied: %v", p.called, err))
		if wiringInText.MatchString(p.text) {
			w.unread = append(w.unread, fmt.Sprintf("%s names Dagger's engine, and is not edited, since it cannot be applied to the pod "+
				"as it is seen here: %v: remove that part of it", p.called, err))
		}
	}
}

// maxPatch bounds a patch: parts of the pod are looked for in it one by one.
const maxPatch = 64 << 10

func (w *workload) tryPatch(p podPatch) error {
	if len(p.text) > maxPatch {
		return fmt.Errorf("it has more than %d bytes", maxPatch)
	}
	documents, err := parseNested([]byte(p.text))
	switch {
	case err != nil:
		return err
	case len(documents) == 0:
		return nil // nothing but comments
	case len(documents) > 1:
		return errors.New("it has several documents")
	}
	content, err := asJSON(documents[0].content)
	if err != nil {
		return err
	}
	before, err := asJSON(w.pod["spec"])
	if err != nil {
		return err
	}
	after, err := patched(p.kind, before, content)
	if err != nil {
		return err
	}
	moved := moves{workload: w, sources: map[string]string{"/metadata": w.sourceOrNone("/metadata")}}
	moved.walk(before, after, "/spec", origin{"/spec", w.sourceOrNone("/spec")})
	w.origins = givenBy(p, content, after)
	for _, at := range sortedNames(moved.sources) {
		w.origins = append(w.origins, origin{at, moved.sources[at]})
	}
	w.pod["spec"] = after
	return nil
}

// asJSON returns a value as encoding/json decodes it.
func asJSON(v any) (any, error) {
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var decoded any
	return decoded, json.Unmarshal(encoded, &decoded)
}

// patched returns a pod's spec with a patch applied.
func patched(kind string, spec, patch any) (map[string]any, error) {
	original, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	change, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	var result []byte
	switch kind {
	case patchJSON:
		var operations jsonpatch.Patch
		if operations, err = jsonpatch.DecodePatch(change); err != nil {
			break
		}
		if slices.ContainsFunc(operations, func(o jsonpatch.Operation) bool { return o.Kind() == "copy" }) {
			return nil, errors.New("it copies, and what is of the copy cannot be told from what was copied")
		}
		result, err = operations.Apply(original)
	case patchMerge:
		if _, isObject := patch.(map[string]any); !isObject {
			return nil, errors.New("want an object")
		}
		result, err = jsonpatch.MergePatch(original, change)
	case patchStrategic:
		result, err = strategicpatch.StrategicMergePatch(original, change, corev1.PodSpec{})
	default:
		return nil, fmt.Errorf("there is no patch of the type %s", kind)
	}
	if err != nil {
		return nil, err
	}
	var after map[string]any
	if err := json.Unmarshal(result, &after); err != nil {
		return nil, err
	}
	if after == nil {
		return nil, errors.New("it leaves nothing of the pod")
	}
	return after, nil
}

// sourceOrNone returns where the document has what the pod has at a pointer.
func (w *workload) sourceOrNone(pod string) string {
	if source, ok := w.source(pod); ok {
		return source
	}
	return ofController
}

// moves finds where a patched pod has what the pod had before.
type moves struct {
	workload *workload
	sources  map[string]string // by the pointer in the patched pod
}

// walk compares a value that stood at a pointer with what the patched pod has now. Its own origin is known.
func (m *moves) walk(before, after any, from string, own origin) {
	m.sources[own.pod] = own.source
	child := func(value, now any, name, at string) {
		next := origin{own.pod + pointer(at), ofController}
		if name != "" {
			next.source = m.workload.sourceOrNone(from + pointer(name))
			m.walk(value, now, from+pointer(name), next)
		}
		if m.sources[next.pod] = next.source; next.source == own.source+pointer(at) {
			delete(m.sources, next.pod) // its parent's says so
		}
	}
	switch after := after.(type) {
	case map[string]any:
		was, _ := before.(map[string]any)
		for name, now := range after {
			if value, had := was[name]; had {
				child(value, now, name, name)
			} else {
				child(nil, now, "", name)
			}
		}
	case []any:
		was, _ := before.([]any)
		for i, now := range after {
			child(nil, now, "", strconv.Itoa(i))
		}
		for i, element := range was {
			if at := sameIn(after, element); at >= 0 {
				child(element, after[at], strconv.Itoa(i), strconv.Itoa(at))
			}
		}
	}
}

// sameIn returns the index of an element in a list that was patched: of the same value, else of what has the same name, a mount
// the same path; -1 where it is gone.
func sameIn(list []any, element any) int {
	called := text(element, "name")
	same := func(v any) bool { return text(v, "name") == called && reflect.DeepEqual(v, element) }
	if i := slices.IndexFunc(list, same); i >= 0 {
		return i
	}
	for _, key := range []string{"mountPath", "name"} {
		if name := text(element, key); name != "" {
			return slices.IndexFunc(list, func(v any) bool { return text(v, key) == name })
		}
	}
	return -1
}

// givenBy returns where a patch has what a patched spec has.
func givenBy(p podPatch, content any, spec map[string]any) []origin {
	var g given
	if p.kind != patchJSON {
		g.match(spec, content, "/spec", p.at)
		return g.origins
	}
	operations, _ := content.([]any)
	for i, o := range operations {
		value, has := object(o)["value"]
		path := names(text(o, "path"))
		if !has || len(path) == 0 {
			continue
		}
		source := p.at + pointer(strconv.Itoa(i), "value")
		parent, last := path[:len(path)-1], path[len(path)-1]
		to := "/spec" + pointer(parent...)
		switch target := get(spec, parent...).(type) {
		case map[string]any:
			if set, there := target[last]; there {
				g.match(set, value, to+pointer(last), source)
			}
		case []any:
			if at := sameIn(target, value); at >= 0 {
				g.match(target[at], value, to+pointer(strconv.Itoa(at)), source)
			}
		}
	}
	return g.origins
}

type given struct{ origins []origin }

// match notes the parts of a value that are those of a patch.
func (g *given) match(value, patch any, to, source string) {
	if reflect.DeepEqual(value, patch) {
		g.origins = append(g.origins, origin{to, source})
		return
	}
	switch patch := patch.(type) {
	case map[string]any:
		has, _ := value.(map[string]any)
		for _, name := range sortedNames(patch) {
			if member, there := has[name]; there {
				g.match(member, patch[name], to+pointer(name), source+pointer(name))
			}
		}
	case []any:
		has, _ := value.([]any)
		for i, element := range patch {
			if at := sameIn(has, element); at >= 0 {
				g.match(has[at], element, to+pointer(strconv.Itoa(at)), source+pointer(strconv.Itoa(i)))
			}
		}
	}
}
