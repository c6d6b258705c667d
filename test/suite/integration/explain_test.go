package integration

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/check"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// command runs the program against the API server as somebody, and returns its exit code and standard output.
func command(t *testing.T, as *rest.Config, into any, args ...string) (code int, report string) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	kubeconfig, err := shared.Kubeconfig(as)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path,
		append(args, "--kubeconfig", kubeconfig, "--release-namespace", liveRelease, "-o", "json")...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		require.NoError(t, err)
	}
	if len(out) > 0 {
		require.NoError(t, json.Unmarshal(out, into), string(out))
	}
	return code, said.String()
}

// TestExplainSaysWhatTheAPIServerDoes explains pods, and then has them created.
func TestExplainSaysWhatTheAPIServerDoes(t *testing.T) {
	liveNamespace(t, "live-explain", nil)
	liveNamespace(t, "live-explain-opted-in", optedIn)
	liveNamespace(t, "live-explain-baseline", map[string]string{"pod-security.kubernetes.io/enforce": "baseline", inject.LabelInject: "true"})
	liveNamespace(t, "live-explain-refined", nil)
	put(t, policyMap("live-explain-refined", tcpPolicy("refined:1")))
	cases := map[string]struct {
		namespace string
		pod       []byte
		code      int
		want      string
	}{
		"nobody asks":        {"live-explain", runner("a", nil), 3, "not_requested"},
		"the pod asks":       {"live-explain", runner("b", optedIn), 0, "injected"},
		"the namespace asks": {"live-explain-opted-in", runner("c", nil), 0, "injected"},
		"no runner": {"live-explain-opted-in",
			[]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"d"},"spec":{"containers":[{"name":"a","image":"i"}]}}`), 3, "not_a_runner"},
		"the pod opts out":      {"live-explain-opted-in", runner("e", map[string]string{inject.LabelInject: "false"}), 3, "opted_out"},
		"refused":               {"live-explain-baseline", runner("f", optedIn), 4, "host_path_forbidden"},
		"admitted":              {"live-explain-baseline", runner("g", nil), 4, "host_path_forbidden"},
		"a policy of their own": {"live-explain-refined", runner("h", optedIn), 0, "injected"},
	}
	requireSoon(t, func() bool {
		return host(create(t, "live-explain-refined", runner("x", optedIn), "?dryRun=All")) == "tcp://refined:1"
	})
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pod.json")
			require.NoError(t, os.WriteFile(file, c.pod, 0o600))
			var before explain.Explanation
			code, report := command(t, shared.Config(), &before, "explain", "-f", file, "-n", c.namespace)
			require.Equal(t, c.code, code, report)
			require.Equal(t, c.want, string(before.Reason), before)
			require.Empty(t, before.Unreadable)

			created := create(t, c.namespace, c.pod, "")
			require.Equal(t, before.Decision != inject.DecisionRefused, created.code == http.StatusCreated)
			called := false
			for _, entry := range before.Entries {
				called = called || entry.Called && entry.Configuration == registration.ConfigurationName+"-"+liveRelease
			}
			require.Equal(t, before.Outcome == explain.OutcomeInjected, host(created) != "")
			if created.code != http.StatusCreated {
				require.Contains(t, created.status.Message, before.Message)
				return
			}
			if before.Status != nil {
				require.Equal(t, before.Status.Engine, host(created))
				require.True(t, called)
			}
			var after explain.Explanation
			code, report = command(t, shared.Config(), &after, "explain", "pod", created.pod.Name, "-n", c.namespace)
			require.Equal(t, c.code, code, report)
			require.Equal(t, before.Reason, after.Reason, "what exists is explained as what came in")
			require.Empty(t, after.Recorded.Differs)
			require.Equal(t, before.Status != nil, after.Recorded.Status != nil)
		})
	}
}

// TestExplainAPodOfAnOwner has a policy change after a ReplicaSet's pod was made.
func TestExplainAPodOfAnOwner(t *testing.T) {
	liveNamespace(t, "live-explain-owner", nil)
	labels := map[string]string{"app": "job", inject.LabelInject: "true"}
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "live-explain-owner", Name: "job"},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "job"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "i"}}}},
		},
	}
	require.NoError(t, shared.Client().Create(t.Context(), set))
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = set.Namespace, "job-x7k2m"
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set.Name, UID: set.UID,
		Controller: ptr.To(true)}}
	require.NoError(t, shared.Client().Create(t.Context(), pod))
	put(t, policyMap(pod.Namespace, tcpPolicy("other:1")))
	var e explain.Explanation
	code, report := command(t, shared.Config(), &e, "explain", "pod", pod.Name, "-n", pod.Namespace)
	require.Zero(t, code, report)
	require.Contains(t, e.Judged, "the pod template of its owner ReplicaSet live-explain-owner/job")
	differs := map[string]string{}
	for _, d := range e.Recorded.Differs {
		differs[d.Member] = string(d.Now)
	}
	require.Equal(t, `"tcp://other:1"`, differs["engine"])

	// Somebody of a team: what they may not read is named, and the rest is told.
	require.NoError(t, shared.CreateServiceAccounts(t.Context(), pod.Namespace, "team"))
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: "team"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods", "configmaps"}, Verbs: []string{"get", "list"}},
	}}
	require.NoError(t, shared.Client().Create(t.Context(), role))
	require.NoError(t, shared.Client().Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: "team"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "team"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: pod.Namespace, Name: "team"}},
	}))
	team, err := shared.ServiceAccountConfig(t.Context(), pod.Namespace, "team")
	require.NoError(t, err)
	e = explain.Explanation{}
	code, report = command(t, team, &e, "explain", "pod", pod.Name, "-n", pod.Namespace)
	require.Equal(t, 1, code, report)
	require.Equal(t, explain.OutcomeUnknown, e.Outcome)
	require.Equal(t, inject.AskedByPod, e.AskedBy)
	require.Contains(t, e.Judged, "(its owner ReplicaSet live-explain-owner/job cannot be read: ")
	require.NotEmpty(t, e.Recorded.Status, "what was done is told all the same")
	unreadable := strings.Join(e.Unreadable, "\n")
	for _, what := range []string{"the namespace live-explain-owner: ", "the cluster's policy: ", "the MutatingWebhookConfigurations: ",
		"the LimitRanges of "} {
		require.Contains(t, unreadable, what)
	}
	require.Contains(t, unreadable, "the chart's value policyReaders names who may")

	// With the right that the chart's policyReaders give, there is a verdict.
	reader := metav1.ObjectMeta{Namespace: liveRelease, Name: "policy-readers"}
	require.NoError(t, shared.Client().Create(t.Context(), &rbacv1.Role{ObjectMeta: reader, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.ConfigMapName}, Verbs: []string{"get"}},
	}}))
	require.NoError(t, shared.Client().Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: reader, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: reader.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:authenticated"}},
	}))
	requireSoon(t, func() bool {
		e = explain.Explanation{}
		command(t, team, &e, "explain", "pod", pod.Name, "-n", pod.Namespace)
		return e.Outcome == explain.OutcomeInjected
	})
}

func TestExplainANamespace(t *testing.T) {
	liveNamespace(t, "live-explain-namespace",
		map[string]string{inject.LabelInject: "true", "pod-security.kubernetes.io/enforce": "restricted"})
	var n explain.Namespace
	code, report := command(t, shared.Config(), &n, "explain", "namespace", "live-explain-namespace")
	require.Equal(t, 4, code, report)
	require.Equal(t, "restricted", n.PodSecurity)
	require.Equal(t, inject.DecisionAdmitted, n.Unlabelled.Decision)
	require.Equal(t, inject.DecisionRefused, n.Labelled.Decision)
	code, report = command(t, shared.Config(), &n, "explain", "namespace", "live-nowhere")
	require.Equal(t, 1, code)
	require.Contains(t, report, "there is no namespace live-nowhere")
}

func TestCheckAnInstallation(t *testing.T) {
	liveNamespace(t, "live-check", optedIn)
	require.Equal(t, http.StatusCreated, create(t, "live-check", runner("p", optedIn), "").code)
	// A policy is bad when it comes in while nobody validates it.
	put(t, policyMap("live-check", config.DefaultYAML()))
	var findings []check.Finding
	code, report := command(t, shared.Config(), &findings, "check", "-n", "live-check")
	require.Equal(t, 1, code, report)
	level := map[string]check.Level{}
	for _, f := range findings {
		if level[f.Check] != check.Fail {
			level[f.Check] = f.Level
		}
	}
	require.Equal(t, check.OK, level["webhooks"], findings)
	require.Equal(t, check.OK, level["certificate"], findings)
	require.Equal(t, check.OK, level["API server"], findings)
	require.Equal(t, check.Fail, level["policies"], findings)
	require.Equal(t, check.Fail, level["namespaces"], findings)

	put(t, policyMap("live-check", tcpPolicy("check:1")))
	requireSoon(t, func() bool { return host(create(t, "live-check", runner("q", nil), "?dryRun=All")) == "tcp://check:1" })
	code, report = command(t, shared.Config(), &findings, "check", "-n", "live-check")
	require.Zero(t, code, "%s %+v", report, findings)
}
