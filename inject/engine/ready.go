package engine

import (
	"iter"
	"strings"
	"time"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
)

// Ready is which pods of engines are ready, by their workloads. It is immutable.
type Ready map[Workload]ReadyPods

// ReadyPods are the ready pods of one workload.
type ReadyPods struct {
	// Nodes are the names of the nodes that they run on.
	Nodes *rendezvous.Set
	// Names are the names of the pods of a StatefulSet; nil for other workloads, whose pods have no names that last.
	Names *rendezvous.Set
}

// Grace is how long a pod still counts as ready after it is not: as long as an engine takes to restart. A roll-out would move every
// project otherwise.
const Grace = time.Minute

// Pod is what Ready needs to know of an engine's pod. A cluster may have 5,000 of them.
type Pod struct {
	Name, Node string
	workload   unique.Handle[Workload]
	// unready is when it ceased to be ready, in seconds since 1970; 0 if it is ready.
	unready int64
}

// PodOf returns what Ready needs to know of a pod. It returns false if the pod runs no engine, belongs to no workload, has ended or has
// no node yet.
func PodOf(pod *corev1.Pod) (Pod, bool) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return Pod{}, false
	}
	if containerIn(pod.Spec.Containers, hasEngineName) == nil && containerIn(pod.Spec.Containers, hasEngineImage) == nil {
		return Pod{}, false
	}
	w := Workload{Kind: owner.Kind, Namespace: pod.Namespace, Name: owner.Name}
	if w.Kind == "ReplicaSet" {
		w.Kind, w.Name = "Deployment", strings.TrimSuffix(owner.Name, "-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey])
	}
	return Pod{Name: pod.Name, Node: pod.Spec.NodeName, workload: unique.Make(w), unready: unreadySince(pod)}, true
}

// TrimPod removes from a pod what PodOf does not read.
func TrimPod(pod *corev1.Pod) {
	kept := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: pod.Namespace, Name: pod.Name, ResourceVersion: pod.ResourceVersion, CreationTimestamp: pod.CreationTimestamp,
		DeletionTimestamp: pod.DeletionTimestamp, DeletionGracePeriodSeconds: pod.DeletionGracePeriodSeconds,
	}}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		kept.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	const hash = appsv1.DefaultDeploymentUniqueLabelKey
	if value, ok := pod.Labels[hash]; ok {
		kept.Labels = map[string]string{hash: value}
	}
	kept.Spec.NodeName, kept.Status.Phase = pod.Spec.NodeName, pod.Status.Phase
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; hasEngineName(c) || hasEngineImage(c) {
			kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Name: c.Name, Image: c.Image})
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			kept.Status.Conditions = []corev1.PodCondition{c}
		}
	}
	*pod = kept
}

func unreadySince(pod *corev1.Pod) int64 {
	since := pod.CreationTimestamp
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodReady {
			continue
		}
		if c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
			return 0
		}
		if c.Status != corev1.ConditionTrue {
			since = c.LastTransitionTime
		}
	}
	if gone := pod.DeletionTimestamp; gone != nil {
		// The timestamp is when the pod will be killed.
		began := metav1.NewTime(gone.Add(-time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)) * time.Second))
		if since.Before(&began) {
			since = began
		}
	}
	return max(1, since.Unix())
}

// Workload returns the workload that the pod belongs to.
func (p *Pod) Workload() Workload { return p.workload.Value() }

// IsReady reports whether the pod is ready, without Grace.
func (p *Pod) IsReady() bool { return p.unready == 0 }

// counts reports whether the pod counts as ready, and when that ends; the zero time for never.
func (p *Pod) counts(now time.Time) (until time.Time, counts bool) {
	if p.unready == 0 {
		return time.Time{}, true
	}
	until = time.Unix(p.unready, 0).Add(Grace)
	return until, now.Before(until)
}

// NewReady returns which of the pods count as ready, and when that changes if no pod does; the zero time for never. Where a workload's
// pods are those of the Ready before, it keeps that one's sets, and with them what they remember.
func NewReady(pods iter.Seq[Pod], now time.Time, before Ready) (ready Ready, changes time.Time) {
	type names struct{ nodes, pods []string }
	found := map[unique.Handle[Workload]]*names{}
	for p := range pods {
		until, counts := p.counts(now)
		if !counts {
			continue
		}
		if !until.IsZero() && (changes.IsZero() || until.Before(changes)) {
			changes = until
		}
		of := found[p.workload]
		if of == nil {
			of = &names{}
			found[p.workload] = of
		}
		if of.nodes = append(of.nodes, p.Node); p.workload.Value().Kind == "StatefulSet" {
			of.pods = append(of.pods, p.Name)
		}
	}
	ready = make(Ready, len(found))
	for w, of := range found {
		was := before[w.Value()]
		r := ReadyPods{Nodes: was.Nodes.Renew(of.nodes)}
		if of.pods != nil {
			r.Names = was.Names.Renew(of.pods)
		}
		ready[w.Value()] = r
	}
	return ready, changes
}
