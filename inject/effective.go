package inject

import (
	"errors"
	"fmt"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Effective is the policy that applies to one pod, in a form for people.
type Effective struct {
	*config.Effective
	// Profile is the profile that applies, config.DefaultProfile if the pod chose none.
	Profile string
	// Annotations are the pod's annotations that set a field, by the field's path.
	Annotations map[string]string
}

// Effective layers the policy for a profile, or for the one that a pod chooses, and the pod's annotations over it. The pod
// may be the zero Value.
func (p *Policies) Effective(profile string, raw rawjson.Value) (*Effective, error) {
	e := &Effective{Profile: profile, Annotations: map[string]string{}}
	var annotated *pod
	if raw.IsSet() {
		var err error
		if annotated, err = readPod(raw, true); err != nil {
			return nil, err
		}
		if _, o := p.choose(annotated); o != nil {
			return nil, errors.New(o.detail)
		}
		if name, chosen := annotated.annotation(AnnotationPolicy); chosen {
			e.Profile = name
		}
	}
	if err := p.Err(); err != nil {
		return nil, err // no pod gets to its profile
	}
	var err error
	if e.Effective, err = config.Resolve(p.cluster, p.namespace, e.Profile); err != nil {
		return nil, err
	}
	if annotated == nil {
		return e, nil
	}
	policy := p.profile(e.Profile)
	chosen, o := readChoices(policy, annotated)
	if o != nil {
		return nil, fmt.Errorf("the pod's annotation %s", o.detail)
	}
	e.Policy.Containers.Include, e.Policy.Engine.Transport, e.Policy.CLI.Delivery = chosen.include, chosen.transport, chosen.delivery
	e.Policy.Wait.Enabled = chosen.waitOff == ""
	if chosen.wantedByPod {
		e.Policy.Engine.Discover.Version, _ = annotated.annotation(AnnotationEngine)
	}
	for _, a := range podAnnotations {
		if _, set := annotated.annotation(a.name); set {
			e.Annotations[a.field] = a.name
		}
	}
	return e, nil
}

// FieldOrigin is who set a field of a policy.
type FieldOrigin struct {
	Origin config.Origin `json:"origin"`
	// Source names the document or the annotation; empty for a default.
	Source string `json:"source,omitempty"`
	// Line is the field's line in the document, 0 where it is not known.
	Line int `json:"line,omitempty"`
}

// OriginOf returns who set a field last, by its path.
func (e *Effective) OriginOf(path string) FieldOrigin {
	if annotation, ok := e.Annotations[path]; ok {
		return FieldOrigin{Origin: config.OriginPod, Source: "annotation " + annotation}
	}
	layer, line := e.Setter(path)
	return FieldOrigin{Origin: layer.Origin, Source: layer.Source, Line: line}
}

// String returns the origin in one line.
func (o FieldOrigin) String() string {
	text := string(o.Origin)
	if o.Source != "" {
		text += ": " + o.Source
	}
	if o.Line > 0 {
		text += fmt.Sprintf(", line %d", o.Line)
	}
	return text
}
