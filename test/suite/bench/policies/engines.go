package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
)

const (
	engineNamespace = "dagger"
	engineName      = "dagger-dagger-helm-engine"
)

// runEngines creates the DaemonSet of an engine, and its ready pods on n nodes, as its controller and kubelets would.
func runEngines(ctx context.Context, cp *controlplane.ControlPlane, n int, progress io.Writer) error {
	if n == 0 {
		return nil
	}
	c := cp.Client()
	if err := cp.CreateNamespace(ctx, engineNamespace, nil, nil); err != nil {
		return err
	}
	if err := cp.CreateServiceAccounts(ctx, engineNamespace, "default"); err != nil {
		return err
	}
	daemonSet := engineSet()
	if err := c.Create(ctx, daemonSet); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "creating %d engines\n", n)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				pod := enginePod(daemonSet, i)
				err := c.Create(ctx, pod)
				if err == nil {
					pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue,
						LastTransitionTime: metav1.Now()}}
					err = c.Status().Update(ctx, pod)
				}
				if err != nil {
					cancel(fmt.Errorf("creating an engine: %w", err))
				}
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}

func engineSet() *appsv1.DaemonSet {
	labels := map[string]string{"name": engineName, "app.kubernetes.io/name": "dagger-helm"}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: engineNamespace, Name: engineName, Labels: labels},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{
					Name: "dagger-engine", Image: builtInImage, VolumeMounts: []corev1.VolumeMount{{Name: "run", MountPath: "/run/dagger"}},
				}},
				Volumes: []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{
					HostPath: &corev1.HostPathVolumeSource{Path: "/run/dagger-dagger-dagger-helm"}}}},
			}},
		},
	}
}

func enginePod(of *appsv1.DaemonSet, i int64) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: engineNamespace, Name: fmt.Sprintf("%s-%05d", engineName, i), Labels: of.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(of, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))}},
		Spec: *of.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = fmt.Sprintf("ip-10-%d-%d-%d.eu-west-1.compute.internal", i>>16, i>>8&255, i&255)
	return pod
}

// awaitEngines returns once the webhook knows that so many nodes have a ready engine, and how long after its start that was.
func (s *server) awaitEngines(ctx context.Context, n int) (time.Duration, error) {
	want := fmt.Sprintf("dagger_inject_cache_affinity_nodes %d\n", n)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, nil)
		if err != nil {
			return 0, err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			text, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err == nil && strings.Contains(string(text), want) {
				return time.Since(s.began), nil
			}
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("the webhook does not know of %d engines after %s", n, patience)
}
