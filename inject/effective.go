package inject

import (
	"errors"
	"fmt"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Effective is the policy that holds for one pod, for people to read.
type Effective struct {
	*config.Effective
	// Profile is the profile that holds, config.DefaultProfile where none was chosen.
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
		policy, detail := p.choose(annotated)
		if policy == nil {
			return nil, errors.New(detail)
		}
		if name, chosen := annotated.annotation(AnnotationPolicy); chosen {
			e.Profile = name
		}
	}
	if err := p.Err(); err != nil {
		return nil, err // no pod gets as far as its profile
	}
	var err error
	if e.Effective, err = config.Resolve(p.cluster, p.namespace, e.Profile); err != nil {
		return nil, err
	}
	if annotated == nil {
		return e, nil
	}
	policy := p.profile(e.Profile)
	chosen, detail := policy.choose(annotated)
	if detail != "" {
		return nil, fmt.Errorf("the pod's annotation %s", detail)
	}
	e.Policy.Containers.Include, e.Policy.Engine.Transport, e.Policy.CLI.Delivery = chosen.include, chosen.transport, chosen.delivery
	e.Policy.Wait.Enabled = chosen.waitOff == ""
	for _, a := range podAnnotations {
		if _, set := annotated.annotation(a.name); set {
			e.Annotations[a.field] = a.name
		}
	}
	return e, nil
}
