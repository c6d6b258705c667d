package engine

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Workloads are the objects of one namespace that engines are read off.
type Workloads struct {
	DaemonSets   []appsv1.DaemonSet
	StatefulSets []appsv1.StatefulSet
	Deployments  []appsv1.Deployment
	Services     []corev1.Service
}

// ByNamespace divides the workloads of several namespaces.
func (w *Workloads) ByNamespace() map[string]*Workloads {
	divided := map[string]*Workloads{}
	in := func(object metav1.Object) *Workloads {
		name := object.GetNamespace()
		if divided[name] == nil {
			divided[name] = &Workloads{}
		}
		return divided[name]
	}
	for i := range w.DaemonSets {
		own := in(&w.DaemonSets[i])
		own.DaemonSets = append(own.DaemonSets, w.DaemonSets[i])
	}
	for i := range w.StatefulSets {
		own := in(&w.StatefulSets[i])
		own.StatefulSets = append(own.StatefulSets, w.StatefulSets[i])
	}
	for i := range w.Deployments {
		own := in(&w.Deployments[i])
		own.Deployments = append(own.Deployments, w.Deployments[i])
	}
	for i := range w.Services {
		own := in(&w.Services[i])
		own.Services = append(own.Services, w.Services[i])
	}
	return divided
}

// MostEngines is how many engines of a namespace are considered, the first in the order of Compare: a user who may write
// workloads must not be able to make decisions expensive.
const MostEngines = 64

// Found is the engines of a namespace.
type Found struct {
	// Engines are in the order of Compare: the first is preferred.
	Engines []*Discovered
	// Left is how many more there are, beyond MostEngines.
	Left int
}

// Discover finds the engines among the workloads whose labels the selector matches, and reads them. The error says why there is
// none. What it returns shares memory with the workloads.
func (w *Workloads) Discover(selector labels.Selector) (*Found, error) {
	candidates := w.candidates(selector)
	for _, matches := range []func(*corev1.Container) bool{hasEngineName, hasEngineImage} {
		var engines []*candidate
		for i := range candidates {
			if c := &candidates[i]; c.identify(matches) {
				engines = append(engines, c)
			}
		}
		if len(engines) == 0 {
			continue
		}
		slices.SortFunc(engines, func(a, b *candidate) int { return Compare(&a.Identity, &b.Identity) })
		considered := engines[:min(len(engines), MostEngines)]
		found := &Found{Left: len(engines) - len(considered)}
		for _, c := range considered {
			found.Engines = append(found.Engines, read(c, w.Services))
		}
		return found, nil
	}
	return nil, fmt.Errorf("none of the %d workloads has a container %s or an image of the Dagger Engine", len(candidates), containerName)
}

// candidates returns the selected workloads, not yet identified.
func (w *Workloads) candidates(selector labels.Selector) []candidate {
	var selected []candidate
	add := func(kind string, object metav1.Object, template *corev1.PodTemplateSpec) *candidate {
		if !selector.Matches(labels.Set(object.GetLabels())) {
			return nil
		}
		selected = append(selected, candidate{object: object, template: template})
		c := &selected[len(selected)-1]
		c.Workload = Workload{kind, object.GetNamespace(), object.GetName()}
		c.Draining = isDraining(object)
		return c
	}
	for i := range w.DaemonSets {
		d := &w.DaemonSets[i]
		if c := add("DaemonSet", d, &d.Spec.Template); c != nil {
			c.Rollout = daemonSetRollout(d)
		}
	}
	for i := range w.StatefulSets {
		s := &w.StatefulSets[i]
		if c := add("StatefulSet", s, &s.Spec.Template); c != nil {
			c.Rollout, c.replicas, c.statefulSet = statefulSetRollout(s), replicas(s.Spec.Replicas), s
		}
	}
	for i := range w.Deployments {
		d := &w.Deployments[i]
		if c := add("Deployment", d, &d.Spec.Template); c != nil {
			c.Rollout, c.replicas = deploymentRollout(d), replicas(d.Spec.Replicas)
		}
	}
	return selected
}

// candidate is a workload that may be an engine.
type candidate struct {
	Identity
	object   metav1.Object
	template *corev1.PodTemplateSpec
	engine   *corev1.Container // nil until it is identified as one
	// replicas is how many pods it asks for; DaemonSets have none.
	replicas    *int32
	statefulSet *appsv1.StatefulSet // nil for another kind
}

// identify finds the engine's container, and with it what engines are compared by.
func (c *candidate) identify(matches func(*corev1.Container) bool) bool {
	if c.engine = containerOf(c.template, matches); c.engine == nil {
		return false
	}
	c.Version = version(c.engine.Image, c.object.GetLabels())
	return true
}

func containerOf(template *corev1.PodTemplateSpec, matches func(*corev1.Container) bool) *corev1.Container {
	return containerIn(template.Spec.Containers, matches)
}

func containerIn(containers []corev1.Container, matches func(*corev1.Container) bool) *corev1.Container {
	for i := range containers {
		if matches(&containers[i]) {
			return &containers[i]
		}
	}
	return nil
}

// replicas applies the API server's default.
func replicas(n *int32) *int32 {
	if n == nil {
		one := int32(1)
		return &one
	}
	return n
}
