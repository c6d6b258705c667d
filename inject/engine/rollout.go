package engine

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// Annotation on a workload can have the value Draining. On a pod it chooses an engine.
	Annotation = "dagger.io/engine"
	// Draining reserves an engine for pods that ask for it by its name or its exact version.
	Draining = "draining"
)

func isDraining(workload metav1.Object) bool {
	return workload.GetAnnotations()[Annotation] == Draining
}

// Rollout is how far a workload has rolled out its current template.
type Rollout struct {
	// Wanted is how many pods the workload asks for.
	Wanted int32 `json:"wanted"`
	// Ready is how many pods of the current template are ready. While pods of an older template still run, the status does not
	// say which of them are ready, and Ready is an upper bound.
	Ready int32 `json:"ready"`
}

// Readiness is what the choice of an engine needs to know of a rollout.
type Readiness int

// The values of Readiness, the better ones larger.
const (
	NoneReady Readiness = iota
	SomeReady
	HalfReady // at least half of what is wanted
)

// Readiness classifies the rollout. A nil rollout, which is not known, has nothing ready.
func (r *Rollout) Readiness() Readiness {
	switch {
	case r == nil || r.Ready < 1:
		return NoneReady
	case 2*int64(r.Ready) >= int64(r.Wanted):
		return HalfReady
	}
	return SomeReady
}

// Compare orders engines by preference: first those with half of their pods ready, then those with any, then the others.
// Within each group, the newest version comes first, and then the name decides.
func Compare(a, b *Identity) int {
	return cmp.Or(
		cmp.Compare(b.Rollout.Readiness(), a.Rollout.Readiness()),
		CompareVersions(b.Version, a.Version),
		cmp.Compare(a.Workload.Name, b.Workload.Name),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind),
		cmp.Compare(a.Workload.Namespace, b.Workload.Namespace),
	)
}

// rollout returns the rollout that a status describes. A status of an older generation counts pods of an older template: none
// of the current one is ready then.
func rollout(wanted, ready, updated int32, generation, observed int64) *Rollout {
	if observed == 0 && ready == 0 && updated == 0 {
		return nil // no controller has seen it yet
	}
	if observed < generation {
		updated = 0
	}
	return &Rollout{Wanted: wanted, Ready: min(ready, updated)}
}

func daemonSetRollout(d *appsv1.DaemonSet) *Rollout {
	s := &d.Status
	return rollout(s.DesiredNumberScheduled, s.NumberReady, s.UpdatedNumberScheduled, d.Generation, s.ObservedGeneration)
}

func statefulSetRollout(s *appsv1.StatefulSet) *Rollout {
	return rollout(*replicas(s.Spec.Replicas), s.Status.ReadyReplicas, s.Status.UpdatedReplicas, s.Generation, s.Status.ObservedGeneration)
}

func deploymentRollout(d *appsv1.Deployment) *Rollout {
	return rollout(*replicas(d.Spec.Replicas), d.Status.ReadyReplicas, d.Status.UpdatedReplicas, d.Generation, d.Status.ObservedGeneration)
}

// coarse returns the smallest rollout with the same readiness.
func (r *Rollout) coarse() Rollout {
	return [...]Rollout{NoneReady: {}, SomeReady: {Wanted: 3, Ready: 1}, HalfReady: {Wanted: 1, Ready: 1}}[r.Readiness()]
}

// coarseOf returns the smallest number of ready pods with the same readiness, for a workload that asks for so many.
func (r *Rollout) coarseOf(wanted int32) int32 {
	return [...]int32{NoneReady: 0, SomeReady: 1, HalfReady: max(wanted, 1)}[r.Readiness()]
}
