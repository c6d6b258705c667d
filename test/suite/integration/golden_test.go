package integration

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
	"github.com/dagger-inject/dagger-inject/test/suite/invariant"
)

var decisionLine = regexp.MustCompile(`: (\w+) \((\w+)\): `)

// TestGoldensOnTheAPIServer creates every case's pod, with the webhook in between, in a namespace of its own that has the
// labels, the Pod Security level and the quota that the case claims.
func TestGoldensOnTheAPIServer(t *testing.T) {
	cases, ready := fixtures.All(t), engine.Ready{}
	for _, c := range cases {
		maps.Copy(ready, c.Ready(t))
	}
	shared.ready.Store(&ready)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			expected := expectedPod(t, &c)
			given := ""
			if expected != nil {
				_, given, _ = strings.Cut(statusOf(t, expected).CLIImage, engineRepository)
			}
			about(t, systemOf(t, &c), given)
			if expected != nil {
				needsFieldsOf(t, &expected.Spec)
			}
			if c.KubeVersion != "" && c.Cluster(t).ImageVolumes != shared.apiServer.imageVolumes {
				t.Skipf("it is for an API server like that of Kubernetes %s; this one is %s", c.KubeVersion, shared.apiServer.version)
			}
			policies := c.Policies(t)
			shared.setPolicies(c.Name, func() *inject.Policies { return policies })
			var pod corev1.Pod
			require.NoError(t, json.Unmarshal(c.Pod(t), &pod))
			pod.Namespace = c.Name
			require.NoError(t, shared.CreateNamespace(t.Context(), c.Name, c.Namespace.Labels, c.Namespace.Annotations))
			if account := pod.Spec.ServiceAccountName; account != "" && account != "default" {
				require.NoError(t, shared.CreateServiceAccounts(t.Context(), c.Name, account))
			}
			if class := pod.Spec.RuntimeClassName; class != nil {
				require.NoError(t, shared.CreateRuntimeClass(t.Context(), *class))
			}
			if c.Quota != nil {
				require.NoError(t, shared.CreateQuota(t.Context(), c.Name, c.Quota))
				requireQuotaRefuses(t, c.Name)
			}
			line := decisionLine.FindStringSubmatch(c.Expected("expected.txt"))
			require.NotNil(t, line, "the golden has no decision: see `make golden`")

			created := create(t, c.Name, asJSON(t, &pod), "")
			if line[1] == string(inject.DecisionRefused) {
				requireRefused(t, c, created)
				return
			}
			require.Equal(t, http.StatusCreated, created.code, created.status.Message)
			requireWarned(t, c, created)
			if expected != nil {
				requireStoredAsGolden(t, expected, created)
			} else {
				require.NotContains(t, created.stored, "dagger-inject")
			}
			requireGuaranteed(t, &pod, created)
			requireNoChangeOnSecondCall(t, &c, created)
		})
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// requireQuotaRefuses shows that the quota is in force: a container without requests is refused in the namespace.
func requireQuotaRefuses(t *testing.T, namespace string) {
	t.Helper()
	control := create(t, namespace,
		[]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"control"},"spec":{"containers":[{"name":"a","image":"a"}]}}`), "")
	require.Equal(t, http.StatusForbidden, control.code)
	require.Contains(t, control.status.Message, "must specify")
}

// requireRefused holds a refusal against what every runner controller retries: 503, and a Retry-After for GitLab only.
func requireRefused(t *testing.T, c fixtures.Case, created creation) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, created.code)
	require.Equal(t, "ServiceUnavailable", string(created.status.Reason))
	_, message, _ := strings.Cut(strings.TrimSpace(c.Expected("expected.txt")), "): ")
	require.Contains(t, created.status.Message, message, "the creator reads what the offline command prints")
	isGitLab := strings.Contains(string(c.Pod(t)), "job.runner.gitlab.com")
	require.Equal(t, isGitLab, created.header.Get("Retry-After") == "5", created.header)
}

func requireWarned(t *testing.T, c fixtures.Case, created creation) {
	t.Helper()
	expected := strings.Count(c.Expected("expected.txt"), "  warning: ")
	got := 0
	for _, warning := range created.warnings {
		if strings.Contains(warning, inject.WarningPrefix) {
			got++
		}
	}
	require.Equal(t, expected, got, created.warnings)
}

// requireStoredAsGolden checks that the API server stored the golden and added only what it adds to every pod.
func requireStoredAsGolden(t *testing.T, expected *corev1.Pod, created creation) {
	t.Helper()
	expected.Namespace = created.pod.Namespace
	// What a server sets, whatever it is sent.
	expected.UID, expected.CreationTimestamp, expected.Status = "", metav1.Time{}, corev1.PodStatus{}
	require.NoError(t, invariant.OnlyAdded(string(asJSON(t, expected)), created.stored))
	require.JSONEq(t, expected.Annotations[inject.AnnotationStatus], created.pod.Annotations[inject.AnnotationStatus])
	require.Len(t, created.pod.Spec.InitContainers, len(expected.Spec.InitContainers))
	require.Len(t, created.pod.Spec.Containers, len(expected.Spec.Containers))
}

// requireGuaranteed checks that a pod whose own containers are all guaranteed still is, with our init container.
func requireGuaranteed(t *testing.T, pod *corev1.Pod, created creation) {
	t.Helper()
	for _, c := range pod.Spec.Containers {
		if c.Resources.Limits.Cpu().IsZero() || !equality.Semantic.DeepEqual(c.Resources.Limits, c.Resources.Requests) {
			return
		}
	}
	require.Equal(t, corev1.PodQOSGuaranteed, created.pod.Status.QOSClass)
}

// requireNoChangeOnSecondCall sends what is stored through the webhook again.
func requireNoChangeOnSecondCall(t *testing.T, c *fixtures.Case, created creation) {
	t.Helper()
	code, text := shared.post(t, review(t, c.Name, created.stored))
	require.Equal(t, http.StatusOK, code, string(text))
	answer := readReview(t, text)
	require.True(t, answer.Allowed)
	require.Empty(t, answer.Patch, string(answer.Patch))
}
