package kubelet

import (
	"context"
	"fmt"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// Node is one of the nodes that a kubelet stands for.
type Node struct{ Name, Zone, IP string }

// heartbeat is how often a kubelet renews its lease; the node lifecycle controller gives it 50 seconds.
const heartbeat = 10 * time.Second

// registerNodes creates the nodes and keeps their leases fresh until the context ends.
func registerNodes(ctx context.Context, client kubernetes.Interface, nodes []Node, port int32) error {
	for _, n := range nodes {
		if err := registerNode(ctx, client, n.object(port)); err != nil {
			return err
		}
	}
	return nil
}

func registerNode(ctx context.Context, client kubernetes.Interface, node *corev1.Node) error {
	name := node.Name
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("registering the node %s: %w", name, err)
	}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: ptr.To[int32](40)},
	}
	go keepLease(ctx, client, lease)
	return nil
}

// AddNode adds a node until the context ends, and keeps it alive. Nothing is scheduled to it but the pods of DaemonSets, so that what
// tests do with other pods is as without it.
func (k *Kubelet) AddNode(ctx context.Context, n Node) error {
	added := n.object(k.opts.Port)
	added.Spec.Unschedulable = true
	// Nobody spreads replicas over what they cannot go to.
	delete(added.Labels, corev1.LabelHostname)
	delete(added.Labels, corev1.LabelTopologyZone)
	return registerNode(ctx, k.opts.Client, added)
}

// keepLease renews a lease until the context ends. Failures are tried again with the next heartbeat, as a kubelet's.
func keepLease(ctx context.Context, client kubernetes.Interface, lease *coordinationv1.Lease) {
	leases := client.CoordinationV1().Leases(lease.Namespace)
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		renewed := lease.DeepCopy()
		renewed.Spec.RenewTime = ptr.To(metav1.NowMicro())
		var err error
		if lease.ResourceVersion == "" {
			renewed, err = leases.Create(ctx, renewed, metav1.CreateOptions{})
		} else {
			renewed, err = leases.Update(ctx, renewed, metav1.UpdateOptions{})
		}
		if err == nil {
			lease = renewed
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// object returns the node as its kubelet registers it, with the port of the kubelet's API.
func (n Node) object(port int32) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	now := metav1.Now()
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{
			corev1.LabelHostname: n.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
			corev1.LabelTopologyZone: n.Zone,
		}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			// No host name, which the API server would prefer and nobody resolves.
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: n.IP}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
			NodeInfo:        corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: runtime.GOARCH, KubeletVersion: "process-kubelet"},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
				LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
}
