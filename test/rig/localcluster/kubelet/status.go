package kubelet

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// initStatus sets the status of a bound pod that does not run yet.
func (p *pod) initStatus() {
	now := metav1.Now()
	host := ""
	for _, node := range p.kubelet.opts.Nodes {
		if node.Name == p.object.Spec.NodeName {
			host = node.IP
		}
	}
	p.status = corev1.PodStatus{Phase: corev1.PodPending, StartTime: &now, HostIP: host, HostIPs: []corev1.HostIP{{IP: host}}}
	for _, c := range p.object.Spec.Containers {
		p.status.ContainerStatuses = append(p.status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image})
	}
	p.condition(corev1.PodInitialized, true)
	p.ready(false)
}

// container returns the status of the only container.
func (p *pod) container() *corev1.ContainerStatus { return &p.status.ContainerStatuses[0] }

func (p *pod) condition(kind corev1.PodConditionType, value bool) {
	status := corev1.ConditionFalse
	if value {
		status = corev1.ConditionTrue
	}
	for i := range p.status.Conditions {
		if c := &p.status.Conditions[i]; c.Type == kind {
			if c.Status != status {
				c.Status, c.LastTransitionTime = status, metav1.Now()
			}
			return
		}
	}
	p.status.Conditions = append(p.status.Conditions, corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.Now()})
}

func (p *pod) ready(value bool) {
	p.container().Ready = value
	p.condition(corev1.ContainersReady, value)
	p.condition(corev1.PodReady, value)
}

// waiting reports a container that cannot be started yet.
func (p *pod) waiting(ctx context.Context, reason, message string) {
	p.container().State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	p.report(ctx)
}

// fail reports a pod that this kubelet cannot run.
func (p *pod) fail(ctx context.Context, err error) {
	p.status.Phase, p.status.Reason, p.status.Message = corev1.PodFailed, "ProcessKubelet", err.Error()
	p.ready(false)
	p.report(ctx)
}

// report writes the status to the API. A pod that is gone needs none.
func (p *pod) report(ctx context.Context) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.object.UID}, "status": p.status})
	if err != nil {
		panic(err) // the status is made of API types
	}
	_ = retry(ctx, func() error {
		pods := p.kubelet.opts.Client.CoreV1().Pods(p.object.Namespace)
		_, err := pods.Patch(ctx, p.object.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		return IgnoreGone(err)
	})
}
