package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

// TestAnUpgradeOfTheEngineIsWatched follows an upgrade with "dagger-inject engine --watch", from the first job on the old engine until
// that one is gone. The pods are injected by a live webhook; the statuses of workloads and pods are the test's.
func TestAnUpgradeOfTheEngineIsWatched(t *testing.T) {
	t.Parallel()
	l, err := newLive(t, "watched-release", "watched", "--discover-own-namespace")
	if l != nil && l.Process != nil {
		defer func() {
			if err := l.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	require.NoError(t, err)
	require.NoError(t, shared.CreateNamespace(t.Context(), "watched", map[string]string{liveLabel: "watched"}, nil))
	grantAll(t, "watched-engines", "watched-release")
	put(t, policyMap("watched-release", ownPolicy))
	kubeconfig, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	watch := start(t, "engine", "-n", "watched", "--watch", "--release-namespace", "watched-release", "--kubeconfig", kubeconfig)
	requireSoon(t, func() bool { return strings.Contains(watch.Log(), "namespace watched: none of the 0 workloads") })

	const free = "v0.20.8 (DaemonSet watched/v0-20-engine) is used by no pod: it can go."
	const old, next = "DaemonSet watched/v0-20-engine v0.20.8 ", "DaemonSet watched/v0-21-engine v0.21.8 "
	upgrade(t, "watched", "two-versions")
	requireTable(t, watch, next+"- socket 0 0 yes", old+"- socket 0 0 no", "v0.20.8 (DaemonSet watched/v0-20-engine) is used by no pod, "+
		"but the engine that new pods get is not known to be ready: keep it.")
	ready := func(name string, ready int32) {
		t.Helper()
		var d appsv1.DaemonSet
		require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: "watched", Name: name}, &d))
		d.Status = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3,
			NumberReady: ready}
		require.NoError(t, shared.Client().Status().Update(t.Context(), &d))
	}
	ready("v0-20-engine", 3)
	ready("v0-21-engine", 1)
	requireTable(t, watch, old+"3/3 socket 0 0 yes", next+"1/3 socket 0 0 no")

	first, second := requireGivenTo(t, "first", "v0.20.8"), requireGivenTo(t, "second", "v0.20.8")
	requireTable(t, watch, old+"3/3 socket 0 2 yes", next+"1/3 socket 0 0 no")
	setPhase(t, first, corev1.PodRunning)
	requireTable(t, watch, old+"3/3 socket 1 1 yes", next+"1/3 socket 0 0 no")

	ready("v0-21-engine", 2)
	third := requireGivenTo(t, "third", "v0.21.8")
	setPhase(t, third, corev1.PodRunning)
	requireTable(t, watch, next+"2/3 socket 1 0 yes", old+"3/3 socket 1 1 no",
		"v0.20.8 (DaemonSet watched/v0-20-engine) is still used by 2 pods.")
	setPhase(t, first, corev1.PodSucceeded)
	requireTable(t, watch, next+"2/3 socket 1 0 yes", old+"3/3 socket 0 1 no",
		"v0.20.8 (DaemonSet watched/v0-20-engine) is still used by 1 pod.")
	require.NoError(t, shared.Client().Delete(t.Context(), second, client.GracePeriodSeconds(0)))
	requireTable(t, watch, next+"2/3 socket 1 0 yes", old+"3/3 socket 0 0 no", free)

	require.NoError(t, shared.Client().Delete(t.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "watched", Name: "v0-20-engine"}}))
	requireTable(t, watch, next+"2/3 socket 1 0 yes")
	requireGivenTo(t, "fourth", "v0.21.8")
	require.NotContains(t, watch.Log(), "controller-runtime", "a library complains")
}

// requireTable waits until the last table that was printed has these lines, of which it may have more columns, and no others.
func requireTable(t *testing.T, watch *program.Process, want ...string) {
	t.Helper()
	var got []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("wanted last: %q, got %q", want, got)
		}
	})
	requireSoon(t, func() bool {
		log := watch.Log()
		got = nil
		for line := range strings.Lines(log[max(0, strings.LastIndex(log, "WORKLOAD")):]) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		if len(got) != 1+len(want) {
			return false
		}
		for i, line := range want {
			if !strings.HasPrefix(got[1+i], line) {
				return false
			}
		}
		return true
	})
}

// requireGivenTo waits until the webhook gives pods an engine of this version, and creates one.
func requireGivenTo(t *testing.T, name, version string) *corev1.Pod {
	t.Helper()
	given := func(c creation) bool {
		return c.code == http.StatusCreated && len(c.pod.Spec.InitContainers) > 0 &&
			c.pod.Spec.InitContainers[0].Image == "registry.dagger.io/engine:"+version
	}
	requireSoon(t, func() bool { return given(try(t, "watched")) })
	created := create(t, "watched", annotated(name, nil), "")
	require.True(t, given(created), created.stored)
	return &created.pod
}

func setPhase(t *testing.T, pod *corev1.Pod, phase corev1.PodPhase) {
	t.Helper()
	pod.Status.Phase = phase
	require.NoError(t, shared.Client().Status().Update(t.Context(), pod))
}
