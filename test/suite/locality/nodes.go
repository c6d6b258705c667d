package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// nodes are those of a cluster, by name, and whether each is cordoned. They stay from one run to the next.
type nodes map[string]bool

// useNodes makes these the cluster's nodes.
func (c *cluster) useNodes(ctx context.Context, wanted map[string]*fleet.Node) error {
	removals := newGroup()
	for name := range c.nodes {
		if wanted[name] == nil {
			delete(c.nodes, name)
			removals.do(func() error { return c.deleteNode(ctx, name) })
		}
	}
	if err := removals.wait(); err != nil {
		return err
	}
	changes := newGroup()
	for name, n := range wanted {
		cordoned, there := c.nodes[name]
		c.nodes[name] = n.Cordoned
		switch {
		case !there:
			changes.do(func() error { return c.createNode(ctx, name, n.Cordoned) })
		case cordoned != n.Cordoned:
			changes.do(func() error { return c.setCordoned(ctx, name, n.Cordoned) })
		}
	}
	return changes.wait()
}

func (c *cluster) addNode(ctx context.Context, n *fleet.Node) error {
	c.nodes[n.Name] = n.Cordoned
	return c.createNode(ctx, n.Name, n.Cordoned)
}

func (c *cluster) cordonNode(ctx context.Context, name string) error {
	c.nodes[name] = true
	return c.setCordoned(ctx, name, true)
}

func (c *cluster) removeNode(ctx context.Context, name string) error {
	delete(c.nodes, name)
	return c.deleteNode(ctx, name)
}

// createNode creates a node as its kubelet registers it, and its engine.
func (c *cluster) createNode(ctx context.Context, name string, cordoned bool) error {
	capacity := quantities(sim.CPU, sim.Memory)
	capacity[corev1.ResourcePods] = resource.MustParse("110")
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		}},
		Spec: corev1.NodeSpec{Unschedulable: cordoned},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			NodeInfo:   corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}},
		},
	}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	return c.createEngine(ctx, name)
}

func engineOf(node string) string { return "engine-" + node }

// createEngine creates the engine's pod of a node, as the DaemonSet's controller does, and makes it ready, as the kubelet does.
func (c *cluster) createEngine(ctx context.Context, node string) error {
	spec := *c.engine.Spec.Template.Spec.DeepCopy()
	spec.NodeName = node
	pods := c.client.CoreV1().Pods(c.engine.Namespace)
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: engineOf(node), Labels: c.engine.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c.engine, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))},
		},
		Spec: spec,
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
	_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// setCordoned cordons a node or takes that back.
func (c *cluster) setCordoned(ctx context.Context, name string, cordoned bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, cordoned)
	_, err := c.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (c *cluster) deleteNode(ctx context.Context, name string) error {
	if err := c.client.CoreV1().Pods(c.engine.Namespace).Delete(ctx, engineOf(name), atOnce); err != nil {
		return err
	}
	return c.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
}
