package explain

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/dagger-inject/dagger-inject/inject"
)

// Recorded is the status annotation of an existing pod, compared with what would happen now.
type Recorded struct {
	// Status is the annotation itself; nil if the pod has none.
	Status json.RawMessage `json:"status,omitempty"`
	// Problem says why the annotation cannot be read.
	Problem string `json:"problem,omitempty"`
	// Differs are the members that would be different now.
	Differs []Difference `json:"differs,omitempty"`
}

// Difference is a member of the status annotation that would be different now; nil stands for no value.
type Difference struct {
	Member string          `json:"member"`
	Then   json.RawMessage `json:"then,omitempty"`
	Now    json.RawMessage `json:"now,omitempty"`
}

// compare compares the pod's annotation with what it would be now. Anyone can write that annotation, so it is only shown, and
// no decision depends on it.
func (j *job) compare(annotation string) *Recorded {
	r := &Recorded{}
	if annotation == "" {
		return r
	}
	now, err := json.Marshal(j.Status)
	if err != nil {
		return r
	}
	if r.Differs, err = Differences([]byte(annotation), now); err != nil {
		r.Problem, r.Differs = err.Error(), nil
		return r
	}
	r.Status = json.RawMessage(annotation)
	if j.Status == nil {
		r.Differs = nil
	}
	return r
}

// Differences compares two values of the status annotation. The error says that the first is not what dagger-inject writes.
func Differences(annotation, other []byte) ([]Difference, error) {
	var then, now map[string]json.RawMessage
	if err := json.Unmarshal(annotation, &then); err != nil {
		return nil, fmt.Errorf("the annotation %s is not what dagger-inject writes: %w", inject.AnnotationStatus, err)
	}
	if err := json.Unmarshal(other, &now); err != nil {
		return nil, err
	}
	var differs []Difference
	var names []string
	for name := range then {
		names = append(names, name)
	}
	for name := range now {
		if _, both := then[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		// This program and the webhook may have different versions.
		if name != "version" && !sameJSON(then[name], now[name]) {
			differs = append(differs, Difference{name, then[name], now[name]})
		}
	}
	return differs, nil
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
