package migrate

import (
	"encoding/json"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// decide lets the one decision decide on a pod of a workload, and returns the pod that it gives.
func (m *migration) decide(w *workload, pod map[string]any, policy *Policy) (*corev1.Pod, *inject.Plan, error) {
	encoded, err := json.Marshal(pod)
	if err != nil {
		return nil, nil, err
	}
	var d rawjson.Document
	root, err := d.Parse(string(encoded))
	if err != nil {
		return nil, nil, err
	}
	policies, err := m.policiesFor(w.namespace, policy)
	if err != nil {
		return nil, nil, err
	}
	plan := inject.Decide(inject.Input{
		Pod: root, System: w.system, Policies: policies, Cluster: m.options.Facts, Version: m.options.Version,
		Namespace: inject.Namespace{Name: w.namespace, Labels: m.options.Labels, Annotations: m.options.Annotations},
	})
	patched, err := patch.Apply(encoded, plan.Operations)
	if err != nil {
		return nil, nil, err
	}
	var injected corev1.Pod
	if err := json.Unmarshal(patched, &injected); err != nil {
		return nil, nil, err
	}
	return &injected, plan, nil
}

// policiesFor compiles the policies that hold in a namespace, with one of the namespace's own if it is not nil.
func (m *migration) policiesFor(namespace string, policy *Policy) (*inject.Policies, error) {
	key, documents := namespace, m.options.NamespacePolicy
	if policy != nil {
		key, documents = policy.ConfigMap(), policy.documents()
	}
	if have := m.compiled[key]; have != nil {
		return have, nil
	}
	var engines inject.Engines
	if m.options.Engines != nil {
		engines = m.options.Engines(namespace)
	}
	policies := inject.NewPolicies(m.options.Cluster, documents, engines)
	if err := policies.Err(); err != nil {
		return nil, err
	}
	m.compiled[key] = policies
	return policies, nil
}

// labelled returns the pod with the label and annotations.
func labelled(pod map[string]any, annotations map[string]string) map[string]any {
	copied := clone(pod).(map[string]any)
	metadata := member(copied, "metadata")
	member(metadata, "labels")[inject.LabelInject] = inject.InjectTrue
	for name, value := range annotations {
		member(metadata, "annotations")[name] = value
	}
	return copied
}

// attempt is one way to have a stripped pod injected, with what comes of it.
type attempt struct {
	annotations map[string]string
	policy      *Policy
	plan        *inject.Plan
	comparison  *comparison
}

// worse reports whether another attempt is better.
func (a *attempt) worse(than *attempt) bool {
	injected, other := a.plan.Decision == inject.DecisionInjected, than.plan.Decision == inject.DecisionInjected
	if injected != other {
		return other
	}
	return other && len(a.comparison.differences) > len(than.comparison.differences)
}

// try has a stripped pod injected.
func (m *migration) try(t *task, before *corev1.Pod, a attempt) (*attempt, error) {
	stripped := labelled(without(t.pod, t.wiring.pointers()), a.annotations)
	after, plan, err := m.decide(t.workload, stripped, a.policy)
	if err != nil {
		return nil, err
	}
	a.plan = plan
	if plan.Decision == inject.DecisionInjected {
		a.comparison = t.compare(before, after, plan)
	}
	return &a, nil
}

// choose finds the way that keeps most of the pod as it was: the label alone, else with an annotation that names containers, else
// with a policy for the namespace. It adds the placement that injection gives to what is removed.
func (m *migration) choose(t *task, before *corev1.Pod) error {
	best, err := m.tryAll(t, before)
	if err != nil {
		return err
	}
	if best.plan.Decision != inject.DecisionInjected {
		t.cannot = "without its wiring the pod would get no engine: " + best.plan.Message()
		return nil
	}
	// What is given to a pod without placement is given to this one too.
	pointers := append(t.wiring.pointers(), placementPointers...)
	bare, plan, err := m.decide(t.workload, labelled(without(t.pod, pointers), best.annotations), best.policy)
	if err != nil {
		return err
	}
	if plan.Decision == inject.DecisionInjected {
		t.wiring.givenPlacement(before, bare)
	}
	maps.Copy(t.annotations, best.annotations)
	t.policy = best.policy
	return nil
}

func (m *migration) tryAll(t *task, before *corev1.Pod) (*attempt, error) {
	best, err := m.try(t, before, attempt{})
	if err != nil {
		return nil, err
	}
	improve := func(next attempt) error {
		tried, err := m.try(t, before, next)
		if err == nil && best.worse(tried) {
			best = tried
		}
		return err
	}
	if best.differsInContainers() {
		var wired []string
		for _, c := range before.Spec.Containers {
			if t.wiring.wired[c.Name] != nil {
				wired = append(wired, c.Name)
			}
		}
		if err := improve(attempt{annotations: map[string]string{inject.AnnotationContainers: strings.Join(wired, ",")}}); err != nil {
			return nil, err
		}
	}
	if m.options.NamespacePolicy != nil || !best.differsInEngine() {
		return best, nil
	}
	policy, err := newPolicy(t.namespace, t.wiring.connection())
	if policy != nil && err == nil {
		if err := improve(attempt{annotations: best.annotations, policy: policy}); err != nil {
			t.wiring.note("keeping the engine as it was takes a policy of the namespace, which the cluster's policy does not permit: %v", err)
		}
	}
	return best, err
}

// differsInContainers reports whether other containers get an engine than had one.
func (a *attempt) differsInContainers() bool {
	if a.comparison == nil {
		return false
	}
	for _, d := range a.comparison.differences {
		if d.Property == propertyEngine && (d.Before == "") != (d.After == "") {
			return true
		}
	}
	return false
}

// differsInEngine reports whether the pod gets another engine than it had, or none.
func (a *attempt) differsInEngine() bool {
	if a.comparison == nil {
		return true
	}
	for _, d := range a.comparison.differences {
		if d.Property == propertyEngine && d.Before != "" && d.After != "" {
			return true
		}
	}
	return false
}
