package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
	"github.com/dagger-inject/dagger-inject/test/suite/matrix/attribute"
)

// about says for the support matrix (docs/support.md) which runner system a test is about, and which engine.
func about(t *testing.T, system inject.System, engine string) {
	t.Helper()
	t.Attr(attribute.Kubernetes, shared.apiServer.version)
	if system != inject.SystemNone {
		t.Attr(attribute.Runner, string(system))
	}
	if engine != "" {
		t.Attr(attribute.Engine, engine)
	}
}

// aboutOwnCode says that the system's own code creates the pods of a test.
func aboutOwnCode(t *testing.T, system inject.System) {
	t.Helper()
	about(t, system, "")
	t.Attr(attribute.OwnCode, "true")
}

// systemOf returns the system that a case's pod is recognised as.
func systemOf(t *testing.T, c *fixtures.Case) inject.System {
	t.Helper()
	var d rawjson.Document
	root, err := d.Parse(string(c.Pod(t)))
	require.NoError(t, err)
	return inject.Decide(inject.Input{Pod: root, Namespace: c.Facts(t), Policies: c.Policies(t), Cluster: c.Cluster(t), Ready: c.Ready(t),
		Version: "dev"}).System
}

// expectedPod returns a case's pod as it is to be, or nil where it is not changed.
func expectedPod(t *testing.T, c *fixtures.Case) *corev1.Pod {
	t.Helper()
	golden := c.Expected("expected.yaml")
	if golden == "" {
		return nil
	}
	var pod corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict([]byte(golden), &pod))
	return &pod
}

// statusOf returns what a pod's annotation says of its injection.
func statusOf(t *testing.T, pod *corev1.Pod) inject.Status {
	t.Helper()
	var status inject.Status
	require.NoError(t, json.Unmarshal([]byte(pod.Annotations[inject.AnnotationStatus]), &status))
	return status
}

const engineRepository = "registry.dagger.io/engine:"

// jobs are cases of test/data/fixtures with a usual pod of each runner system, as that one's own code makes it.
var jobs = []string{"gha-none", "arc-legacy-docker-sidecar", "gha-hooks-v070-workflow", "gitlab-services", "tekton-taskrun", "cache-argo",
	"jenkins-agent", "cache-buildkite", "cache-woodpecker", "cache-drone"}

// TestEveryEngineForEveryRunnerSystem installs the official chart's manifests of each engine, one version a namespace, with nothing in
// the policy but where to look, and creates the pods of every runner system beside it.
func TestEveryEngineForEveryRunnerSystem(t *testing.T) {
	t.Parallel()
	const release = "support-release"
	l, err := newLive(t, release, "support", "--discover-own-namespace")
	if l != nil && l.Process != nil {
		t.Cleanup(func() {
			if err := l.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	require.NoError(t, err)
	grantAll(t, "support-engines", release)
	put(t, policyMap(release, ownPolicy))

	var cases []fixtures.Case
	for _, c := range fixtures.All(t) {
		if slices.Contains(jobs, c.Name) {
			cases = append(cases, c)
		}
	}
	require.Len(t, cases, len(jobs))
	charts, err := filepath.Glob("../../data/engines/v*-default")
	require.NoError(t, err)
	require.NotEmpty(t, charts)
	for _, chart := range charts {
		version := strings.TrimSuffix(filepath.Base(chart), "-default")
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			namespace := "support-" + strings.ReplaceAll(version, ".", "-")
			require.NoError(t, shared.CreateNamespace(t.Context(), namespace, map[string]string{liveLabel: "support"}, nil))
			upgrade(t, namespace, filepath.Base(chart))
			requireSoon(t, func() bool { return host(try(t, namespace)) != "" })
			seen := map[inject.System]string{}
			for _, c := range cases {
				system := systemOf(t, &c)
				require.Empty(t, seen[system], "two cases of a system")
				seen[system] = c.Name
				t.Run(string(system), func(t *testing.T) {
					about(t, system, version)
					requireJobHasEngine(t, &c, namespace, version)
				})
			}
		})
	}
}

// requireJobHasEngine creates a case's pod, which gets the engine of that version where the case has its own, and in the same containers.
func requireJobHasEngine(t *testing.T, c *fixtures.Case, namespace, version string) {
	t.Helper()
	var pod corev1.Pod
	require.NoError(t, json.Unmarshal(c.Pod(t), &pod))
	needsFieldsOf(t, &pod.Spec)
	pod.Namespace = namespace
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[inject.LabelInject] = "true"
	if account := pod.Spec.ServiceAccountName; account != "" && account != "default" {
		require.NoError(t, shared.CreateServiceAccounts(t.Context(), namespace, account))
	}
	created := create(t, namespace, asJSON(t, &pod), "")
	require.Equal(t, http.StatusCreated, created.code, created.status.Message)
	status := statusOf(t, &created.pod)
	require.Equal(t, engineRepository+version, status.CLIImage)
	expected := expectedPod(t, c)
	require.NotNil(t, expected)
	require.Equal(t, statusOf(t, expected).Containers, status.Containers)
	require.NotEmpty(t, status.Containers)
	require.NotEmpty(t, hostPath(created), "the socket's directory")
	for _, container := range slices.Concat(created.pod.Spec.InitContainers, created.pod.Spec.Containers) {
		has := slices.Contains(container.Env, corev1.EnvVar{Name: inject.EnvRunnerHost, Value: status.Engine})
		require.Equal(t, slices.Contains(status.Containers, container.Name), has, container.Name)
	}
}
