package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// owned returns a runner's pod that a ReplicaSet made.
func owned(labels map[string]string) []byte {
	var pod corev1.Pod
	_ = json.Unmarshal(runner("p", labels), &pod)
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web",
		UID: "0f0f0f0f-0000-4000-8000-000000000000", Controller: ptr.To(true)}}
	text, _ := json.Marshal(pod)
	return text
}

func eventsIn(t *testing.T, namespace string) []eventsv1.Event {
	t.Helper()
	var list eventsv1.EventList
	require.NoError(t, shared.Client().List(t.Context(), &list, client.InNamespace(namespace)))
	return list.Items
}

// TestEventsOnTheAPIServer has pods refused and admitted without an engine, and looks for who is told.
func TestEventsOnTheAPIServer(t *testing.T) {
	const invalid = policyHeader + "engine: {sockets: {}}\n"
	liveNamespace(t, "live-events", nil)
	put(t, policyMap("live-events", invalid))
	refused := func(pod []byte, query string) bool {
		return create(t, "live-events", pod, query).code == http.StatusServiceUnavailable
	}
	requireSoon(t, func() bool { return refused(owned(optedIn), "?dryRun=All") })
	for range 5 {
		require.True(t, refused(owned(optedIn), ""))
	}
	require.True(t, refused(runner("p", optedIn), ""))
	requireSoon(t, func() bool { return len(eventsIn(t, "live-events")) == 2 })
	about := map[string]eventsv1.Event{}
	for _, event := range eventsIn(t, "live-events") {
		require.Equal(t, string(inject.ReasonPolicyInvalid), event.Reason)
		require.Equal(t, corev1.EventTypeWarning, event.Type)
		require.Contains(t, event.Note, "engine.sockets: unknown field")
		require.Contains(t, event.Note, inject.ReasonPolicyInvalid.URL())
		about[event.Regarding.Kind+"/"+event.Regarding.Name] = event
	}
	require.Contains(t, about, "ReplicaSet/web")
	require.Contains(t, about, "Namespace/live-events")
	require.Nil(t, about["ReplicaSet/web"].Series, "five in a moment are one")

	// As kubectl finds them.
	clientset, err := kubernetes.NewForConfig(shared.Config())
	require.NoError(t, err)
	found, err := clientset.CoreV1().Events("live-events").List(t.Context(),
		metav1.ListOptions{FieldSelector: "reportingComponent=inject.dagger.io/webhook"})
	require.NoError(t, err)
	require.Len(t, found.Items, 2)

	liveNamespace(t, "live-events-admitted", optedIn)
	put(t, policyMap("live-events-admitted", invalid))
	requireSoon(t, func() bool {
		c := create(t, "live-events-admitted", owned(nil), "?dryRun=All")
		return c.code == http.StatusCreated && len(c.warnings) > 0
	})
	require.Empty(t, eventsIn(t, "live-events-admitted"), "nothing is written on a dry run")
	require.Equal(t, http.StatusCreated, create(t, "live-events-admitted", owned(nil), "").code)
	requireSoon(t, func() bool { return len(eventsIn(t, "live-events-admitted")) == 1 })
	require.Contains(t, eventsIn(t, "live-events-admitted")[0].Note, "admitted without an engine: ")
}

var auditQuery = regexp.MustCompile(`(?s)jq -c '(.*?)' audit.log`)

// TestTheDocumentedQueryFindsEveryDecision runs it over the audit log of the documented policy.
func TestTheDocumentedQueryFindsEveryDecision(t *testing.T) {
	jq, err := exec.LookPath("jq")
	if err != nil {
		t.Skip("jq is not installed")
	}
	page, err := os.ReadFile(filepath.Join("../../..", "docs/troubleshooting.md"))
	require.NoError(t, err)
	query := auditQuery.FindStringSubmatch(string(page))
	require.NotNil(t, query)
	require.NoError(t, shared.CreateNamespace(t.Context(), "audited",
		map[string]string{inject.LabelInject: "true", "pod-security.kubernetes.io/enforce": "baseline"}, nil))
	require.NoError(t, shared.CreateNamespace(t.Context(), "audited-plain", nil, nil))
	for _, c := range []struct {
		namespace, name string
		labels          map[string]string
		query           string
		code            int
	}{
		{"audited-plain", "injected", optedIn, "", http.StatusCreated},
		{"audited-plain", "tried", optedIn, "?dryRun=All", http.StatusCreated},
		{"audited", "refused", optedIn, "", http.StatusServiceUnavailable},
		{"audited", "admitted", nil, "", http.StatusCreated},
		{"audited-plain", "nobodys", nil, "", http.StatusCreated},
	} {
		require.Equal(t, c.code, create(t, c.namespace, runner(c.name, c.labels), c.query).code)
	}
	want := []string{
		`"namespace":"audited-plain","pod":"injected","code":201,"dryRun":false,"reason":"injected"`,
		`"namespace":"audited-plain","pod":"tried","code":201,"dryRun":true,"reason":"injected"`,
		`"namespace":"audited","pod":"refused","code":503,"dryRun":false,"reason":"host_path_forbidden"`,
		`"namespace":"audited","pod":"admitted","code":201,"dryRun":false,"reason":"host_path_forbidden"`,
	}
	var out []byte
	requireSoon(t, func() bool {
		text, err := os.ReadFile(shared.AuditLog())
		require.NoError(t, err)
		whole := text[:strings.LastIndexByte(string(text), '\n')+1] // the last line may still be written
		command := exec.CommandContext(t.Context(), jq, "-c", query[1])
		command.Stdin = strings.NewReader(string(whole))
		out, err = command.CombinedOutput()
		require.NoError(t, err, string(out))
		for _, line := range want {
			if !strings.Contains(string(out), line) {
				return false
			}
		}
		return true
	})
	require.NotContains(t, string(out), `"pod":"nobodys"`, "the webhook is not asked")
}
