package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// settle returns once the scheduler and the webhook know the nodes as they are. On a compressed clock, what takes them a moment would be
// minutes.
func (p *placer) settle(ctx context.Context) error {
	if err := p.schedulerKnows(ctx); err != nil {
		return err
	}
	return p.webhookKnows(ctx)
}

// every is how often something is asked for that takes milliseconds.
const every = 5 * time.Millisecond

// schedulerKnows returns once the scheduler has bound a pod to a node that did not exist before. It learns of nodes from one watch, in
// order: it knows of all earlier changes then.
func (p *placer) schedulerKnows(ctx context.Context) error {
	p.probes++
	name := fmt.Sprintf("probe-%d", p.probes)
	capacity := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
	node := &corev1.Node{
		// No job fits on it.
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
	if _, err := p.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	pods := p.client.CoreV1().Pods(runningNamespace)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		NodeSelector: map[string]string{corev1.LabelHostname: name}, Containers: []corev1.Container{{Name: "probe", Image: "probe"}},
	}}
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	err := poll.Until(ctx, "kube-scheduler knows the nodes", every, patience, func(ctx context.Context) error {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return poll.Fatal(err)
		}
		if pod.Spec.NodeName == "" {
			return errors.New("it has not bound a pod to a new one")
		}
		return nil
	})
	return errors.Join(err, p.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}), pods.Delete(ctx, name, atOnce))
}

// webhookKnows returns once the webhook has the policy of the run and the nodes as they are.
func (p *placer) webhookKnows(ctx context.Context) error {
	names := make([]string, 0, len(p.nodes))
	for name := range p.nodes {
		names = append(names, name)
	}
	set := rendezvous.NewSet(names)
	return poll.Until(ctx, "the webhook knows the nodes", every, patience, func(ctx context.Context) error {
		const project = 1
		dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		pod, err := p.createJob(ctx, p.fleet.Workload, sim.Namespace, "probe", project, "", dry)
		if apierrors.IsServiceUnavailable(err) {
			return err // the webhook has not read the engine yet
		}
		if err != nil {
			return poll.Fatal(err)
		}
		return p.asWanted(pod, set, set.First(sim.Key(project), p.ladder.Nodes))
	})
}

// asWanted says what a pod has else than the run's policy has it, for a project whose first nodes are given.
func (p *placer) asWanted(pod *corev1.Pod, set *rendezvous.Set, first []string) error {
	var status struct{ CacheAffinity *inject.CacheAffinityStatus }
	text := pod.Annotations[inject.AnnotationStatus]
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return fmt.Errorf("the annotation %s: %q: %w", inject.AnnotationStatus, text, err)
	}
	var terms []corev1.PreferredSchedulingTerm
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		terms = a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	if len(terms) != len(first) {
		return fmt.Errorf("it prefers %d nodes and not %d: %s", len(terms), len(first), text)
	}
	for i, term := range terms {
		if int64(term.Weight) != p.ladder.Term(i) || term.Preference.MatchFields[0].Values[0] != first[i] {
			return fmt.Errorf("it prefers %+v and not %s by %d", term, first[i], p.ladder.Term(i))
		}
	}
	if len(terms) > 0 && status.CacheAffinity.Set != set.ID() {
		return fmt.Errorf("it knows the nodes %s and not %s", status.CacheAffinity.Set, set.ID())
	}
	return nil
}
