package engine

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// Annotation on a workload says what becomes of the engine: Draining, or nothing. On a pod it chooses an engine.
	Annotation = "dagger.io/engine"
	// Draining keeps an engine for pods that ask for it by its name or its exact version.
	Draining = "draining"
)

func isDraining(workload metav1.Object) bool {
	return workload.GetAnnotations()[Annotation] == Draining
}

// Rollout is how far a workload is with the pods that its template asks for now.
type Rollout struct {
	// Wanted is how many there are to be.
	Wanted int32 `json:"wanted"`
	// Ready is how many of them are ready. Where an older template's are still running, the status does not tell whose pods
	// are ready: it is then how many may be at most.
	Ready int32 `json:"ready"`
}

// Readiness is a rollout as far as the choice of an engine looks at it.
type Readiness int

// The values of Readiness, the better ones larger.
const (
	NoneReady Readiness = iota
	SomeReady
	HalfReady // at least half of what is wanted
)

// Readiness judges the rollout. One that wants nothing, or of which nothing is known, has nothing ready.
func (r *Rollout) Readiness() Readiness {
	switch {
	case r == nil || r.Ready < 1:
		return NoneReady
	case 2*int64(r.Ready) >= int64(r.Wanted):
		return HalfReady
	}
	return SomeReady
}

// Compare orders engines by which is preferred: the newest of which half is ready, else the newest of which any is, else the
// newest; between two alike, the first by name.
func Compare(a, b *Identity) int {
	return cmp.Or(
		cmp.Compare(b.Rollout.Readiness(), a.Rollout.Readiness()),
		CompareVersions(b.Version, a.Version),
		cmp.Compare(a.Workload.Name, b.Workload.Name),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind),
		cmp.Compare(a.Workload.Namespace, b.Workload.Namespace),
	)
}

// rollout takes a status of an older generation for one of nothing: it counts pods of an older template.
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

// coarse returns the smallest rollout of the same readiness.
func (r *Rollout) coarse() Rollout {
	return [...]Rollout{NoneReady: {}, SomeReady: {Wanted: 3, Ready: 1}, HalfReady: {Wanted: 1, Ready: 1}}[r.Readiness()]
}

// coarseOf returns how many are ready in a rollout of the same readiness that wants so many.
func (r *Rollout) coarseOf(wanted int32) int32 {
	return [...]int32{NoneReady: 0, SomeReady: 1, HalfReady: max(wanted, 1)}[r.Readiness()]
}
