package localcluster

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/kubelet"
)

// AddNodes adds nodes until the context ends, for pods of DaemonSets alone.
func (c *Cluster) AddNodes(ctx context.Context, names ...string) error {
	for i, name := range names {
		at := len(c.network.nodes()) + i
		if err := c.Kubelet.AddNode(ctx, kubelet.Node{Name: name, IP: c.network.node(at)}); err != nil {
			return err
		}
	}
	return nil
}

// RemoveNode removes a node and the pods that it had, which the garbage collector does after minutes.
func (c *Cluster) RemoveNode(ctx context.Context, name string) error {
	if err := c.clientset.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	there := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", name).String()}
	pods, err := c.clientset.CoreV1().Pods(metav1.NamespaceAll).List(ctx, there)
	if err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))}
		if err := kubelet.IgnoreGone(c.clientset.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, now)); err != nil {
			return err
		}
	}
	return nil
}
