package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// patience is how long the scheduler or the webhook may take for what it is waited for.
const patience = 30 * time.Second

// placer is a fleet.Placer: each job is a pod, the webhook adds to it what its policy says, and the scheduler binds it.
type placer struct {
	*cluster
	// run is a prefix of pods' names. A pod of an earlier run must not be taken for one of this.
	run    string
	ladder sim.Ladder

	fleet *fleet.Fleet
	nodes map[string]*fleet.Node
	// pods are those of all jobs, waiting the jobs whose pods have no node, by name.
	pods    map[*fleet.Job]types.NamespacedName
	waiting map[string]*fleet.Job

	bound     watch.Interface
	deletions *group
}

func newPlacer(c *cluster, run string, ladder sim.Ladder) *placer {
	return &placer{cluster: c, run: run, ladder: ladder, nodes: map[string]*fleet.Node{}, pods: map[*fleet.Job]types.NamespacedName{},
		waiting: map[string]*fleet.Job{}, deletions: newGroup()}
}

// Start makes the cluster's nodes the fleet's, with an engine on each, and makes the pods of its jobs: those that run have their nodes
// already.
func (p *placer) Start(ctx context.Context, f *fleet.Fleet) error {
	p.fleet = f
	for _, n := range f.Nodes {
		p.nodes[n.Name] = n
	}
	if err := p.useNodes(ctx, p.nodes); err != nil {
		return err
	}
	creations := newGroup()
	for _, n := range f.Nodes {
		for _, j := range n.Running {
			creations.do(p.create(ctx, runningNamespace, j, n.Name))
		}
	}
	if err := creations.wait(); err != nil {
		return err
	}
	if err := p.follow(ctx); err != nil {
		return err
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	return p.Arrive(ctx, f.Waiting)
}

// create returns a function that creates the pod of a job.
func (p *placer) create(ctx context.Context, namespace string, j *fleet.Job, node string) func() error {
	name := fmt.Sprintf("%s-%d", p.run, j.ID)
	p.pods[j] = types.NamespacedName{Namespace: namespace, Name: name}
	return func() error {
		_, err := p.createJob(ctx, p.fleet.Workload, namespace, name, j.Project, node, metav1.CreateOptions{})
		return err
	}
}

// follow watches which of the jobs' pods are bound.
func (p *placer) follow(ctx context.Context) (err error) {
	// A pod comes into view once it is bound.
	bound := metav1.ListOptions{FieldSelector: fields.OneTermNotEqualSelector("spec.nodeName", "").String()}
	p.bound, err = p.client.CoreV1().Pods(sim.Namespace).Watch(ctx, bound)
	return err
}

// Arrive creates the pods of jobs.
func (p *placer) Arrive(ctx context.Context, jobs []*fleet.Job) error {
	// The scheduler learns of pods from one watch, in order: it knows of the room that jobs left before it sees these.
	if err := p.deletions.wait(); err != nil {
		return err
	}
	creations := newGroup()
	for _, j := range jobs {
		create := p.create(ctx, sim.Namespace, j, "")
		p.waiting[p.pods[j].Name] = j
		creations.do(create)
	}
	return creations.wait()
}

// Bind waits until the scheduler has bound so many pods.
func (p *placer) Bind(ctx context.Context, n int) ([]fleet.Binding, error) {
	if err := p.deletions.wait(); err != nil {
		return nil, err
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	bindings := make([]fleet.Binding, 0, n)
	for len(bindings) < n {
		select {
		case event, open := <-p.bound.ResultChan():
			if !open {
				if err := p.follow(ctx); err != nil {
					return nil, err
				}
				continue
			}
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				return nil, fmt.Errorf("watching pods: %v", event.Object)
			}
			if j := p.waiting[pod.Name]; j != nil && event.Type != watch.Deleted {
				delete(p.waiting, pod.Name)
				bindings = append(bindings, fleet.Binding{Job: j, Node: p.nodes[pod.Spec.NodeName]})
			}
		case <-limit.C:
			return nil, fmt.Errorf("kube-scheduler bound %d of %d pods within %s, and %d wait", len(bindings), n, patience, len(p.waiting))
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return bindings, nil
}

// atOnce deletes a pod as its kubelet does once nothing of it runs.
var atOnce = metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}

// Leave deletes the pod of a job.
func (p *placer) Leave(ctx context.Context, j *fleet.Job) error {
	pod := p.pods[j]
	delete(p.pods, j)
	p.deletions.do(func() error { return p.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, atOnce) })
	return nil
}

// AddNode implements fleet.Placer.
func (p *placer) AddNode(ctx context.Context, n *fleet.Node) error {
	p.nodes[n.Name] = n
	if err := p.addNode(ctx, n); err != nil {
		return err
	}
	return p.settle(ctx)
}

// Cordon implements fleet.Placer. Another node is added next, and then the scheduler is waited for.
func (p *placer) Cordon(ctx context.Context, n *fleet.Node) error { return p.cordonNode(ctx, n.Name) }

// RemoveNode implements fleet.Placer.
func (p *placer) RemoveNode(ctx context.Context, n *fleet.Node) error {
	delete(p.nodes, n.Name)
	return p.removeNode(ctx, n.Name)
}

// clear removes the pods of the run's jobs.
func (p *placer) clear(ctx context.Context) error {
	if p.bound != nil {
		p.bound.Stop()
	}
	if err := p.deletions.wait(); err != nil {
		return err
	}
	deletions := newGroup()
	for _, pod := range p.pods {
		deletions.do(func() error { return p.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, atOnce) })
	}
	return deletions.wait()
}
