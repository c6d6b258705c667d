package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// arcRunners are the two kinds that ARC makes pods of, as they ask for an engine.
var arcRunners = map[string]string{
	"EphemeralRunner": `
apiVersion: actions.github.com/v1alpha1
kind: EphemeralRunner
spec:
  githubConfigUrl: https://github.com/test/valid
  githubConfigSecret: github
  runnerScaleSetId: 1
  metadata:
    labels: {dagger.io/inject: "true"}
  spec:
    restartPolicy: Never
    containers:
    - {name: runner, image: runner, command: [/home/runner/run.sh]}
`,
	"Runner": `
apiVersion: actions.summerwind.dev/v1alpha1
kind: Runner
metadata:
  labels: {dagger.io/inject: "true"}
spec:
  repository: test/valid
  image: runner
  dockerEnabled: false
`,
}

// arc is the running program of test/rig/arc.
type arc struct{ *program.Process }

// startARC runs ARC's controllers until the test ends.
func startARC(t *testing.T) *arc {
	t.Helper()
	path, crds, err := tools.ARC(t.Context(), os.Stderr)
	require.NoError(t, err)
	kubeconfig, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	process, err := program.Start(path, "--kubeconfig", kubeconfig, "--crds", crds)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.Stop()) })
	a := &arc{process}
	requireSoon(t, func() bool { return len(a.reports("ready")) > 0 })
	return a
}

// reports returns the fields of each line that begins with the words.
func (a *arc) reports(words ...string) (found [][]string) {
	prefix := strings.Join(words, " ")
	for line := range strings.Lines(a.Log()) {
		line = strings.TrimSpace(line)
		if line == prefix || strings.HasPrefix(line, prefix+" ") {
			found = append(found, strings.Fields(line)[len(words):])
		}
	}
	return found
}

// arcRunner is the one runner in its namespace.
type arcRunner struct {
	arc             *arc
	kind, namespace string
	object          *unstructured.Unstructured
}

func (a *arc) runner(kind, name string) *arcRunner {
	return &arcRunner{arc: a, kind: kind, namespace: "arc-" + strings.ToLower(kind) + "-" + name}
}

// create creates the runner, and the Secret by which ARC reaches GitHub. The namespace is there.
func (r *arcRunner) create(t *testing.T, manifest string) {
	t.Helper()
	aboutOwnCode(t, map[string]inject.System{"EphemeralRunner": inject.SystemARC, "Runner": inject.SystemARCLegacy}[r.kind])
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github"}, StringData: map[string]string{"github_token": "token"},
	}
	require.NoError(t, shared.Client().Create(t.Context(), secret))
	r.object = &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &r.object.Object))
	r.object.SetNamespace(r.namespace)
	r.object.SetName("runner-1")
	require.NoError(t, shared.Client().Create(t.Context(), r.object))
}

// pod returns the runner's pod, or nil.
func (r *arcRunner) pod(t *testing.T) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(r.object), pod)
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	return pod
}

// phase returns what the controller wrote into the runner's status.
func (r *arcRunner) phase(t *testing.T) string {
	t.Helper()
	require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKeyFromObject(r.object), r.object))
	phase, _, err := unstructured.NestedString(r.object.Object, "status", "phase")
	require.NoError(t, err)
	return phase
}

// requireReconciledMore has the controller look at the runner three more times.
func (r *arcRunner) requireReconciledMore(t *testing.T) {
	t.Helper()
	for i := range 3 {
		before := len(r.arc.reports("reconcile", r.kind, r.namespace))
		change := fmt.Sprintf(`{"metadata":{"annotations":{"changed":"%d-%d"}}}`, i, before)
		require.NoError(t, shared.Client().Patch(t.Context(), r.object, client.RawPatch("application/merge-patch+json", []byte(change))))
		requireSoon(t, func() bool { return len(r.arc.reports("reconcile", r.kind, r.namespace)) > before })
	}
}

// arcAttempt is one attempt at creating a pod.
type arcAttempt struct {
	code    int
	at      time.Time
	message string
}

// attempts returns how the API server answered each time that ARC created a pod.
func (r *arcRunner) attempts(t *testing.T) (all []arcAttempt) {
	t.Helper()
	for _, fields := range r.arc.reports("create", r.namespace) {
		code, err := strconv.Atoi(fields[0])
		require.NoError(t, err)
		at, err := strconv.ParseInt(fields[1], 10, 64)
		require.NoError(t, err)
		all = append(all, arcAttempt{code, time.UnixMilli(at), strings.Join(fields[2:], " ")})
	}
	return all
}
