package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var size = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}

// sized gives all containers of a pod the same requests and limits.
func sized(pod *corev1.Pod) {
	pod.Spec.Resources = nil
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			containers[i].Resources = corev1.ResourceRequirements{Requests: size, Limits: size}
		}
	}
}

func TestAGuaranteedPodStaysGuaranteed(t *testing.T) {
	deployEngine(t, defaultEngine, nil)
	readyEngine(t)
	for system := range systems {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			pod := jobPod(t, system, newNamespace(t, nil, ""), askEngine)
			sized(pod)
			runJob(t, pod, system)
			require.Equal(t, corev1.PodQOSGuaranteed, pod.Status.QOSClass)
			require.NotNil(t, statusOf(pod, "dagger-cli"), "it was not injected")
		})
	}
}

func TestAPodFitsTheQuotaThatItFitBefore(t *testing.T) {
	deployEngine(t, defaultEngine, nil)
	readyEngine(t)
	namespace := newNamespace(t, nil, "")
	pod := jobPod(t, "GitLab", namespace, askEngine)
	sized(pod)
	// Two containers, side by side: what is added runs before them and needs no more.
	hard := corev1.ResourceList{
		corev1.ResourceRequestsCPU: resource.MustParse("200m"), corev1.ResourceRequestsMemory: resource.MustParse("128Mi"),
		corev1.ResourceLimitsCPU: resource.MustParse("200m"), corev1.ResourceLimitsMemory: resource.MustParse("128Mi"),
	}
	quota := &corev1.ResourceQuota{ObjectMeta: objectMeta(namespace, "quota"), Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	create(t, quota)
	eventually(t, "the quota counts", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
			return err
		}
		if len(quota.Status.Hard) == 0 {
			return errors.New("its status is empty")
		}
		return nil
	})
	runJob(t, pod, "GitLab")
}

// changeNode changes the node and puts labels, taints and the cordon back after the test.
func changeNode(t *testing.T, change func(*corev1.Node)) {
	t.Helper()
	var before *corev1.Node
	update := func(change func(*corev1.Node)) {
		eventually(t, "the node is changed", func(ctx context.Context) error {
			var nodes corev1.NodeList
			if err := cluster.List(ctx, &nodes); err != nil {
				return err
			}
			node := &nodes.Items[0]
			if before == nil {
				before = node.DeepCopy()
			}
			change(node)
			return cluster.Update(ctx, node)
		})
	}
	update(change)
	t.Cleanup(func() {
		update(func(node *corev1.Node) { node.Labels, node.Spec = before.Labels, before.Spec })
	})
}

func TestATaintedNodeTakesInjectedJobsOnly(t *testing.T) {
	needsOurNode(t, "it taints the node")
	changeNode(t, func(node *corev1.Node) {
		node.Labels["actions-runner"], node.Labels["pool"] = "true", "ci"
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: "dagger-runner", Value: "true", Effect: corev1.TaintEffectNoSchedule})
	})
	deployEngine(t, "v0.21.8-tolerations-affinity", nil)
	readyEngine(t)
	namespace := newNamespace(t, nil, "")
	without := jobPod(t, "ARC", namespace, "true")
	without.Labels["dagger.io/inject"] = "false"
	createPod(t, without)
	for system := range systems {
		require.Contains(t, runJob(t, jobPod(t, system, namespace, askEngine), system), "version=v0.21.8", system)
	}
	eventually(t, "the pod that was not injected is unschedulable", func(context.Context) error {
		for _, c := range get(t, without).Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
				return nil
			}
		}
		return errors.New(describe([]corev1.Pod{*without}))
	})
	require.Equal(t, corev1.PodPending, without.Status.Phase)
}

func TestRunnersComeBackAfterADrain(t *testing.T) {
	needsOurNode(t, "it drains the node")
	deployEngine(t, defaultEngine, nil)
	readyEngine(t)
	changeNode(t, func(*corev1.Node) {}) // Uncordoned afterwards, whatever happens.
	namespace := newNamespace(t, nil, "")
	runner := jobPod(t, "ARC", namespace, askEngine+"; trap exit TERM; while true; do sleep 1; done")
	runner.Spec.RestartPolicy = corev1.RestartPolicyAlways
	labels := map[string]string{"runner": "drained"}
	for key, value := range runner.Labels {
		labels[key] = value
	}
	deployment := &appsv1.Deployment{ObjectMeta: objectMeta(namespace, "runner"), Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"runner": "drained"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: runner.Spec},
	}}
	create(t, deployment)
	before := runningRunner(t, namespace)
	node := before.Spec.NodeName
	// Of one node, nothing can go elsewhere: a disruption budget, as the webhook's own, would hold the drain for ever.
	kubectl(t, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--disable-eviction", "--timeout=170s")
	kubectl(t, "uncordon", node)
	after := runningRunner(t, namespace)
	require.NotEqual(t, before.Name, after.Name)
	require.Contains(t, logs(t, after, "runner"), "version=v0.21.8")
}

// runningRunner waits for the pod of a Deployment of one runner, and for what it prints.
func runningRunner(t *testing.T, namespace string) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	eventually(t, "the runner has asked the engine", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := cluster.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range pods.Items {
			p := &pods.Items[i]
			if s := statusOf(p, "runner"); s != nil && s.State.Running != nil && p.DeletionTimestamp == nil && logs(t, p, "runner") != "" {
				found = p
				return nil
			}
		}
		return errors.New(describe(pods.Items))
	})
	return found
}
