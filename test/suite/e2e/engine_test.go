package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
)

// engineNamespace is where the default policy looks for the engine.
const engineNamespace = enginechart.Namespace

// defaultEngine is what the chart deploys without values.
const defaultEngine = "v0.21.8-default"

// deployEngine deploys the official chart's manifests of a folder of test/data/engines, and takes them away after the test. change
// may change the DaemonSet before. In another cluster the engine that is there serves as the default one.
func deployEngine(t *testing.T, name string, change func(*appsv1.DaemonSet)) {
	t.Helper()
	if cluster.node == "" && name == defaultEngine && change == nil {
		pods, err := enginePods(t.Context())
		require.NoError(t, err)
		if len(pods) == 0 {
			t.Skip("skipped: the namespace " + engineNamespace + " has no engine of the official chart")
		}
		return
	}
	needsOurNode(t, "it needs an engine of its own")
	deployRelease(t, name, enginechart.DefaultRelease, change)
}

// deployRelease deploys the same manifests as a release of that name, so that several stand side by side.
func deployRelease(t *testing.T, name, release string, change func(*appsv1.DaemonSet)) {
	t.Helper()
	// After the deletions below: what is asked for last is done first.
	t.Cleanup(func() { goneEngine(t, release) })
	objects, err := enginechart.Release(name, release)
	require.NoError(t, err)
	for _, object := range objects {
		create(t, changed(t, object, change))
	}
}

// goneEngine waits until a release has no pods any more.
func goneEngine(t *testing.T, release string) {
	t.Helper()
	eventually(t, "the engine's pods are gone", func(ctx context.Context) error {
		return none(enginePods(ctx, release))
	})
}

// changed applies a change to the object if it is the DaemonSet.
func changed(t *testing.T, object *unstructured.Unstructured, change func(*appsv1.DaemonSet)) client.Object {
	t.Helper()
	if object.GetKind() != "DaemonSet" || change == nil {
		return object
	}
	set := &appsv1.DaemonSet{}
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, set))
	change(set)
	return set
}

// gated has the engine's container wait for the file /go before it starts the engine.
func gated(set *appsv1.DaemonSet) {
	c := &set.Spec.Template.Spec.Containers[0]
	c.Command = []string{"sh", "-c", `trap exit TERM; until [ -e /go ]; do sleep 0.1; done; exec dagger-engine "$@"`, "engine"}
	// What asks the engine is not to restart it meanwhile.
	c.LivenessProbe = nil
}

// openGate lets a gated engine start.
func openGate(t *testing.T, release ...string) {
	t.Helper()
	kubectl(t, "exec", "-n", engineNamespace, runningEngine(t, release...), "--", "touch", "/go")
}

// enginePods returns the pods of a release, or of all where none is named.
func enginePods(ctx context.Context, release ...string) ([]corev1.Pod, error) {
	selector := client.MatchingLabels{"app.kubernetes.io/part-of": "dagger-helm"}
	for _, name := range release {
		selector["app.kubernetes.io/instance"] = name
	}
	var pods corev1.PodList
	err := cluster.List(ctx, &pods, client.InNamespace(engineNamespace), selector)
	return pods.Items, err
}

// readyEngine waits for the engine and returns the name of its pod, by which it answers.
func readyEngine(t *testing.T, release ...string) string {
	t.Helper()
	return awaitEngine(t, "is ready", func(s corev1.ContainerStatus) bool { return s.Ready }, release)
}

// runningEngine waits for the engine's container and returns the name of its pod.
func runningEngine(t *testing.T, release ...string) string {
	t.Helper()
	return awaitEngine(t, "runs", func(s corev1.ContainerStatus) bool { return s.State.Running != nil }, release)
}

func awaitEngine(t *testing.T, what string, done func(corev1.ContainerStatus) bool, release []string) (name string) {
	t.Helper()
	eventually(t, "the engine "+what, func(ctx context.Context) error {
		pods, err := enginePods(ctx, release...)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.ContainerStatuses, done) {
				name = p.Name
				return nil
			}
		}
		return errors.New(describe(pods))
	})
	return name
}

// requireAnswer holds what a job printed to the engine that it was to reach.
func requireAnswer(t *testing.T, output, engine, version string) {
	t.Helper()
	if cluster.node == "" { // A real CLI prints the version of the engine, whatever that is here.
		require.Regexp(t, `v\d+\.\d+\.\d+`, output)
		return
	}
	require.Regexp(t, fmt.Sprintf(`engine=%s version=%s\+\w+ cli=%s `, engine, regexp.QuoteMeta(version), regexp.QuoteMeta(version)), output)
}

func none(pods []corev1.Pod, err error) error {
	if err == nil && len(pods) > 0 {
		return errors.New(describe(pods))
	}
	return err
}
