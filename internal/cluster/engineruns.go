package cluster

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// EngineRuns is how a workload runs its engines.
type EngineRuns struct {
	Template *corev1.PodTemplateSpec
	// Selector selects its pods.
	Selector *metav1.LabelSelector
	// Replaces is true if a change of its template replaces running pods.
	Replaces bool
	// Claims are the names of the volumes for which each pod has its own claim.
	Claims []string
}

// Runs returns how a workload of a namespace runs, by the workload's name in the form Kind namespace/name.
func (e *Engines) Runs(namespace, workload string) (*EngineRuns, error) {
	known := e.workloads(cmp.Or(namespace, e.own))
	if known.err != nil {
		return nil, known.err
	}
	return RunsOf(known.Workloads, workload)
}

// RunsOf returns how one of the workloads runs, by its name in the form Kind namespace/name.
func RunsOf(n *engine.Workloads, workload string) (*EngineRuns, error) {
	is := func(kind string, o metav1.Object) bool {
		return engine.Workload{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}.String() == workload
	}
	for i := range n.DaemonSets {
		if d := &n.DaemonSets[i]; is("DaemonSet", d) {
			return &EngineRuns{&d.Spec.Template, d.Spec.Selector, d.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType, nil}, nil
		}
	}
	for i := range n.StatefulSets {
		if s := &n.StatefulSets[i]; is("StatefulSet", s) {
			r := &EngineRuns{&s.Spec.Template, s.Spec.Selector, s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType, nil}
			for _, claim := range s.Spec.VolumeClaimTemplates {
				r.Claims = append(r.Claims, claim.Name)
			}
			return r, nil
		}
	}
	for i := range n.Deployments {
		if d := &n.Deployments[i]; is("Deployment", d) {
			return &EngineRuns{&d.Spec.Template, d.Spec.Selector, true, nil}, nil
		}
	}
	return nil, fmt.Errorf("%s does not exist", workload)
}
