package engine

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Workloads are the objects of one namespace that an engine is read off.
type Workloads struct {
	DaemonSets   []appsv1.DaemonSet
	StatefulSets []appsv1.StatefulSet
	Deployments  []appsv1.Deployment
	Services     []corev1.Service
}

// Discover finds the engine among the workloads whose labels the selector matches, and reads it. There is none, or more than
// one: the error says which. What it returns shares memory with the workloads.
func (w *Workloads) Discover(selector labels.Selector) (*Discovered, error) {
	return discover(w.candidates(selector), w.Services)
}

func (w *Workloads) candidates(selector labels.Selector) []candidate {
	var selected []candidate
	add := func(c candidate) {
		if selector.Matches(labels.Set(c.labels)) {
			selected = append(selected, c)
		}
	}
	for i := range w.DaemonSets {
		d := &w.DaemonSets[i]
		add(candidate{Workload{"DaemonSet", d.Namespace, d.Name}, d.Labels, nil, &d.Spec.Template})
	}
	for i := range w.StatefulSets {
		s := &w.StatefulSets[i]
		add(candidate{Workload{"StatefulSet", s.Namespace, s.Name}, s.Labels, replicas(s.Spec.Replicas), &s.Spec.Template})
	}
	for i := range w.Deployments {
		d := &w.Deployments[i]
		add(candidate{Workload{"Deployment", d.Namespace, d.Name}, d.Labels, replicas(d.Spec.Replicas), &d.Spec.Template})
	}
	return selected
}

// candidate is a workload that may be an engine.
type candidate struct {
	Workload
	labels map[string]string // the workload's own
	// replicas is how many pods it asks for; DaemonSets have none.
	replicas *int32
	template *corev1.PodTemplateSpec
}

// replicas applies the API server's default.
func replicas(n *int32) *int32 {
	if n == nil {
		one := int32(1)
		return &one
	}
	return n
}
