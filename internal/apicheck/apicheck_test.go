package apicheck

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/dagger-inject/dagger-inject/inject"
)

// reply is what a stand-in for the API server answers to a creation.
type reply struct {
	code    int
	message string
	warning string
	status  string // the annotation of the pod
}

// serve answers creations with the replies in turn, and then with the last of them again and again.
func serve(t *testing.T, replies ...reply) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var pod corev1.Pod
		if json.NewDecoder(r.Body).Decode(&pod) != nil || r.Method != http.MethodPost || r.URL.Query().Get("dryRun") != "All" ||
			r.URL.Path != "/api/v1/namespaces/ci/pods" || pod.Labels[inject.LabelInject] != "true" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answer := replies[0]
		if len(replies) > 1 {
			replies = replies[1:]
		}
		w.Header().Set("Content-Type", "application/json")
		if answer.warning != "" {
			w.Header().Set("Warning", `299 - "`+answer.warning+`"`)
		}
		if answer.message != "" {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(answer.code)
			_ = json.NewEncoder(w).Encode(metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
				Code: int32(answer.code), Message: answer.message,
			})
			return
		}
		if answer.status != "" {
			pod.Annotations = map[string]string{inject.AnnotationStatus: answer.status}
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(pod)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func calling(text string) reply {
	return reply{code: 500, message: `Internal error occurred: failed calling webhook "pod.inject.dagger.io": failed to call webhook: ` + text}
}

func TestOnce(t *testing.T) {
	for name, c := range map[string]struct {
		reply   reply
		outcome Outcome
		said    string
		first   string // the likeliest cause
	}{
		"an injected pod": {reply{status: `{"version":"v1"}`}, Injected, `{"version":"v1"}`, ""},
		"a refusal with a reason": {
			reply{code: 503, message: `admission webhook "pod.inject.dagger.io" denied the request: There is no engine.`}, Refused,
			"There is no engine.", "",
		},
		"a warning of ours": {reply{warning: "dagger-inject: not injected"}, Admitted, "dagger-inject: not injected", ""},
		"a warning of ours, then a refusal": {reply{code: 403, message: "exceeded quota", warning: "dagger-inject: not injected"}, Admitted,
			"not injected", ""},
		"a warning of somebody else":     {reply{warning: "Validation failed: dagger-inject: not injected"}, NotCalled, "", causeNoConfig},
		"a pod that is created as it is": {reply{}, NotCalled, "", causeNoConfig},
		"a time-out":                     {calling("Post https://x: context deadline exceeded"), Unreachable, "deadline", causeFirewall},
		"no replica":                     {calling("no endpoints available for service"), Unreachable, "endpoints", causeNotReady},
		"a port that is closed": {calling("dial tcp 10.0.0.1:10250: connect: connection refused"), Unreachable, "refused",
			causeNotReady},
		"a certificate nobody trusts": {calling("tls: failed to verify certificate: x509: unknown authority"), Unreachable, "x509",
			causeCertManager},
		"a fault of the webhook": {calling(`an error on the server ("x") has prevented the request from succeeding`), Unreachable,
			"server", causeFault},
		"a Service that is not there": {calling(`service "dagger-inject" not found`), Unreachable, "not found", causeNoService},
		"a refusal by another webhook": {reply{code: 403, message: `admission webhook "x" denied the request: no`}, Failed, "denied",
			causeOther},
		"no right to create pods": {reply{code: 403, message: `pods is forbidden: User "dev" cannot create resource "pods"`}, Failed,
			"forbidden", causeRights},
		"a namespace that is not there":      {reply{code: 404, message: `namespaces "ci" not found`}, Failed, "not found", causeOther},
		"another webhook that does not work": {reply{code: 500, message: `failed calling webhook "x": timeout`}, Failed, "timeout", causeOther},
	} {
		t.Run(name, func(t *testing.T) {
			answer := Once(t.Context(), serve(t, c.reply), "ci")
			require.Equal(t, c.outcome, answer.Outcome, answer)
			require.Equal(t, "ci", answer.Namespace)
			require.Contains(t, answer.Said, c.said)
			require.Equal(t, c.first == "", answer.Reached())
			require.Contains(t, answer.String(), answer.Said)
			if c.first == "" {
				require.Empty(t, answer.Causes)
				return
			}
			require.Equal(t, c.first, answer.Causes[0])
		})
	}
}

func TestWaitGoesOnUntilTheWebhookAnswers(t *testing.T) {
	refused := calling("connection refused")
	var reported []Outcome
	answer := Wait(t.Context(), serve(t, refused, refused, reply{}, reply{status: "{}"}), "ci",
		func(a Answer) { reported = append(reported, a.Outcome) })
	require.Equal(t, Injected, answer.Outcome)
	require.Equal(t, []Outcome{Unreachable, NotCalled, Injected}, reported, "each once")
}

func TestWaitEndsWithTheLastAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	answer := Wait(ctx, serve(t, calling("connection refused")), "ci", func(Answer) { cancel() })
	require.Equal(t, Unreachable, answer.Outcome)
}

func TestWaitDoesNotWaitForANamespace(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer := Wait(ctx, serve(t, reply{code: 404, message: `namespaces "ci" not found`}), "ci", nil)
	require.Equal(t, Failed, answer.Outcome)
	require.NoError(t, ctx.Err())
}
