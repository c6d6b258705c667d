package localcluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"
)

// AddNodes adds nodes until the context ends, and keeps them alive. They are cordoned: only pods of DaemonSets go there, so that
// what tests do with other pods is as without them.
func (c *Cluster) AddNodes(ctx context.Context, names ...string) error {
	for i, name := range names {
		added := node(len(nodeNames)+i, name, c.network)
		added.Spec.Unschedulable = true
		// Nobody spreads replicas over what they cannot go to.
		delete(added.Labels, corev1.LabelHostname)
		delete(added.Labels, corev1.LabelTopologyZone)
		if err := registerNode(ctx, c.clientset, added); err != nil {
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
		if err := ignoreGone(c.clientset.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, now)); err != nil {
			return err
		}
	}
	return nil
}
