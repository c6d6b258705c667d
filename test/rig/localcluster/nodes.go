package localcluster

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

// nodeNames are the nodes that the process kubelet stands for: two, each in a zone, so that replicas can be spread.
var nodeNames = []string{"node-1", "node-2"}

// heartbeat is how often a kubelet renews its lease; the node lifecycle controller gives it 50 seconds.
const heartbeat = 10 * time.Second

// registerNodes creates the nodes and keeps their leases fresh until the context ends.
func registerNodes(ctx context.Context, client kubernetes.Interface, network network) error {
	for i, name := range nodeNames {
		if err := registerNode(ctx, client, node(i, name, network)); err != nil {
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

func node(i int, name string, network network) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	now := metav1.Now()
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
			corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i+1),
		}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			// No host name, which the API server would prefer and nobody resolves.
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: network.node(i)}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: network.kubelet}},
			NodeInfo:        corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: runtime.GOARCH, KubeletVersion: "process-kubelet"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
				LastHeartbeatTime: now, LastTransitionTime: now}},
		},
	}
}
