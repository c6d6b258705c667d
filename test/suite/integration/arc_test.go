package integration

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/forward"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

// arcObstacle is why no pod can be created in a namespace, until it is removed.
type arcObstacle struct {
	code    int
	message string
	raise   func(t *testing.T, namespace string) (remove func(t *testing.T))
}

var arcObstacles = map[string]arcObstacle{
	"an invalid policy":         {http.StatusServiceUnavailable, "nonsense: unknown field", raiseInvalidPolicy},
	"a webhook that is down":    {http.StatusInternalServerError, `failed calling webhook "pod.inject.dagger.io"`, raiseOutage},
	"what Pod Security forbids": {http.StatusForbidden, "violates PodSecurity", raisePodSecurity},
	"an exceeded quota":         {http.StatusForbidden, "exceeded quota: " + controlplane.Quota, raiseQuota},
}

// TestARC lets the controllers of the actions-runner-controller v0.27.6, the newest version that is a Go module, create pods. Those of
// a scale set's runners are of mid 2023 (chart 0.6): from 0.9.3 on a 403 marks a runner as failed for good (docs/runners.md), which
// that version does not do yet.
func TestARC(t *testing.T) {
	needsRunners(t)
	a := startARC(t)
	for kind, manifest := range arcRunners {
		t.Run(kind, func(t *testing.T) {
			t.Run("injected and left alone", func(t *testing.T) {
				t.Parallel()
				testARCLeavesAnInjectedPodAlone(t, a.runner(kind, "injected"), manifest)
			})
			for name, obstacle := range arcObstacles {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					testARCTriesAgain(t, a.runner(kind, strings.ReplaceAll(strings.ToLower(name), " ", "-")), manifest, obstacle)
				})
			}
		})
	}
}

// testARCLeavesAnInjectedPodAlone: the controller looks at what it created often, and finds nothing to mend in it.
func testARCLeavesAnInjectedPodAlone(t *testing.T, r *arcRunner, manifest string) {
	liveNamespace(t, r.namespace, nil)
	r.create(t, manifest)
	requireSoon(t, func() bool { return r.pod(t) != nil })
	pod := r.pod(t)
	require.Equal(t, socketHost, host(creation{pod: *pod}))
	require.Len(t, pod.Spec.InitContainers, 1, "the CLI")
	r.requireReconciledMore(t)
	require.Equal(t, pod.ResourceVersion, r.pod(t).ResourceVersion)

	// In a kubelet's place: the injected init container has ended, and the runner runs.
	pod.Status.Phase = corev1.PodRunning
	for _, c := range pod.Spec.InitContainers {
		pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Ready: true, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}},
		})
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "runner", Ready: true, State: running}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	require.NoError(t, shared.Client().Status().Update(t.Context(), pod))
	requireSoon(t, func() bool { return r.phase(t) == string(corev1.PodRunning) })
	r.requireReconciledMore(t)
	require.Equal(t, pod.ResourceVersion, r.pod(t).ResourceVersion)
	require.Len(t, r.attempts(t), 1)
}

// testARCTriesAgain: whatever keeps the pod out, the controller tries again with the work queue's back-off, and the pod is created
// with nothing restarted and nobody's help once that is gone.
func testARCTriesAgain(t *testing.T, r *arcRunner, manifest string, obstacle arcObstacle) {
	remove := obstacle.raise(t, r.namespace)
	r.create(t, manifest)
	const many = 9
	requireSoon(t, func() bool { return len(r.attempts(t)) >= many })
	before := r.attempts(t)
	for _, a := range before {
		require.Equal(t, obstacle.code, a.code, a.message)
		require.Contains(t, a.message, obstacle.message)
	}
	// The n-th failure is followed by a pause of at least 5 ms times 2^(n-1), unless the runner changed meanwhile.
	gap := before[len(before)-1].at.Sub(before[len(before)-2].at)
	require.GreaterOrEqual(t, gap, 5*time.Millisecond<<(len(before)-3))

	remove(t)
	removed := time.Now()
	requireSoon(t, func() bool { return r.pod(t) != nil })
	require.NotEmpty(t, host(creation{pod: *r.pod(t)}), "injected")
	require.NotEqual(t, string(corev1.PodFailed), r.phase(t))
	after := r.attempts(t)
	require.Equal(t, http.StatusCreated, after[len(after)-1].code)
	t.Logf("%d attempts in %s; the pod came %s after the cause was gone", len(before),
		before[len(before)-1].at.Sub(before[0].at), after[len(after)-1].at.Sub(removed).Round(time.Millisecond))
}

func raiseInvalidPolicy(t *testing.T, namespace string) func(*testing.T) {
	liveNamespace(t, namespace, nil)
	put(t, policyMap(namespace, policyHeader+"nonsense: true\n"))
	return func(t *testing.T) { put(t, policyMap(namespace, tcpPolicy("mended:1"))) }
}

// raiseOutage has a configuration for one namespace, whose webhook cannot be reached at first.
func raiseOutage(t *testing.T, namespace string) func(*testing.T) {
	listener, err := net.Listen("tcp", program.Loopback(0))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var up atomic.Bool
	go forward.Serve(listener, func() (string, func()) {
		if up.Load() {
			return program.Loopback(shared.port), func() {}
		}
		return "", func() {}
	})
	configuration := registration.Configuration(clientConfig(listener.Addr().(*net.TCPAddr).Port, shared.ca), releaseNamespace)
	configuration.Name += "-" + namespace
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].NamespaceSelector.MatchLabels = map[string]string{corev1.LabelMetadataName: namespace}
	}
	require.NoError(t, shared.RegisterWebhooks(t.Context(), configuration))
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, map[string]string{liveLabel: namespace}, nil))
	return func(*testing.T) { up.Store(true) }
}

// raisePodSecurity refuses what the runner's own container lacks, not what is added.
func raisePodSecurity(t *testing.T, namespace string) func(*testing.T) {
	const enforce = "pod-security.kubernetes.io/enforce"
	liveNamespace(t, namespace, map[string]string{enforce: "restricted"})
	put(t, policyMap(namespace, tcpPolicy("engine:1")))
	return func(t *testing.T) {
		var ns corev1.Namespace
		require.NoError(t, shared.Client().Get(t.Context(), nsKey(namespace), &ns))
		delete(ns.Labels, enforce)
		require.NoError(t, shared.Client().Update(t.Context(), &ns))
	}
}

func raiseQuota(t *testing.T, namespace string) func(*testing.T) {
	liveNamespace(t, namespace, nil)
	none := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
	require.NoError(t, shared.CreateQuota(t.Context(), namespace, none))
	return func(t *testing.T) {
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: controlplane.Quota}}
		require.NoError(t, shared.Client().Delete(t.Context(), quota))
	}
}
