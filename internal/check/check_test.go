package check

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestAHealthyInstallation(t *testing.T) {
	i := healthy(t)
	i.others = []client.Object{
		namespace("ci", map[string]string{inject.LabelInject: "true"}),
		asking("injected", map[string]string{inject.AnnotationStatus: "{}"}),
	}
	findings := i.run(t, "")
	for _, f := range findings {
		require.Equal(t, OK, f.Level, "%+v", f)
	}
	require.False(t, Failed(findings))
	var text strings.Builder
	require.NoError(t, Text(&text, findings))
	require.Equal(t, `ok    webhooks     pod.inject.dagger.io leads to Service dagger-inject/dagger-inject
ok    webhooks     namespace.inject.dagger.io leads to Service dagger-inject/dagger-inject
ok    webhooks     optional.inject.dagger.io leads to Service dagger-inject/dagger-inject
ok    webhooks     policy.inject.dagger.io leads to Service dagger-inject/dagger-inject
ok    replicas     2 of 2 replicas behind Service dagger-inject/dagger-inject ready
ok    certificate  every CA bundle matches the certificate, which has 60 days left
ok    API server   the webhook answers: a pod in namespace default would be injected by socket
ok    policies     the cluster's policy is valid
ok    engines      DaemonSet dagger/engine v0.21.8: 1 of 1 pod ready
ok    caches       DaemonSet dagger/engine: nothing is known that endangers its cache or the jobs that use it
ok    namespaces   ci is opted in, Pod Security not set: a CI job is injected by socket
ok    pods         all pods that asked are injected (1)
`, text.String())
}

// TestWhatIsWrongIsFound has one thing wrong in each case.
func TestWhatIsWrongIsFound(t *testing.T) {
	cases := map[string]struct {
		change func(*installation)
		level  Level
		want   string
	}{
		"nothing installed": {func(i *installation) { i.mutating.Webhooks = nil }, Fail,
			"no MutatingWebhookConfiguration has the entry pod.inject.dagger.io"},
		"an entry of an older chart": {func(i *installation) { i.mutating.Webhooks = i.mutating.Webhooks[:2] }, Fail,
			"no MutatingWebhookConfiguration has the entry optional.inject.dagger.io"},
		"no validation": {func(i *installation) { i.validating.Webhooks = nil }, Warn, "policies are not validated"},
		"another path": {func(i *installation) { *i.mutating.Webhooks[0].ClientConfig.Service.Path = "/other" }, Fail,
			`the path "/other"`},
		"no CA bundle": {func(i *installation) { i.mutating.Webhooks[1].ClientConfig.CABundle = nil }, Fail,
			"namespace.inject.dagger.io has no caBundle"},
		"another namespace": {func(i *installation) { i.mutating.Webhooks[0].ClientConfig.Service.Namespace = "old" }, Warn,
			"leads to Service old/dagger-inject"},
		"no Service": {func(i *installation) { i.service.Name = "other" }, Fail, "there is no Service dagger-inject/dagger-inject"},
		"no replica is ready": {func(i *installation) { i.replicas = i.replicas[:1]; i.replicas[0].Status.Conditions = nil }, Fail,
			"0 of 1 replica"},
		"no replica at all": {func(i *installation) { i.replicas = nil }, Fail, "0 of 0 replicas"},
		"a replica is not":  {func(i *installation) { i.replicas[0].Status.Conditions = nil }, Warn, "1 of 2 replicas"},
		"one replica":       {func(i *installation) { i.replicas = i.replicas[:1] }, Warn, "1 of 1 replica"},
		"another certificate": {func(i *installation) {
			i.secret.Data[corev1.TLSCertKey] = certificate(t, serviceName, now.Add(time.Hour))
		}, Fail, "does not trust the certificate in Secret dagger-inject/serving"},
		"another name": {func(i *installation) { i.serve(certificate(t, "other.svc", now.Add(time.Hour))) }, Fail,
			"valid for other.svc"},
		"an expired one":        {func(i *installation) { i.serve(certificate(t, serviceName, now.Add(-time.Minute))) }, Fail, "expired"},
		"one that expires":      {func(i *installation) { i.serve(certificate(t, serviceName, now.Add(49*time.Hour))) }, Warn, "has 2 days left"},
		"no certificate at all": {func(i *installation) { i.secret.Data = nil }, Warn, "no certificate in PEM"},
		"not reached": {func(i *installation) { i.answer = apicheck.Answer{Outcome: apicheck.NotCalled, Namespace: "default"} }, Fail,
			"was not called"},
		"not allowed to ask": {func(i *installation) {
			i.answer = apicheck.Answer{Outcome: apicheck.Failed, Said: `pods is forbidden: User "u" cannot create`}
		}, Warn, "cannot be tried"},
		"no policy": {func(i *installation) { i.policy.Name = "other" }, Fail, "the cluster has no policy"},
		"an invalid policy": {func(i *installation) { i.policy = policyOf("dagger-inject", "engines: {}\n") }, Fail,
			"the cluster's policy is invalid"},
		"an invalid one of a namespace": {func(i *installation) {
			cm := policyOf("ci", "onError: admit\n")
			cm.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
			i.others = append(i.others, cm)
		}, Fail, "the policy of namespace ci is invalid"},
		"no engine": {func(i *installation) { i.engine.Spec.Template.Spec = corev1.PodSpec{} }, Warn,
			"none of the 1 workloads has a container dagger-engine"},
		"no engine that is ready": {func(i *installation) { i.engines[0].Status.Conditions = nil }, Fail, "none of 1 pod is ready"},
		"a namespace without an engine": {func(i *installation) {
			i.others = append(i.others, namespace("ci",
				map[string]string{inject.LabelInject: "true", "pod-security.kubernetes.io/enforce": "baseline"}))
		}, Fail, "ci is opted in, Pod Security baseline: a CI job is not injected"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := healthy(t)
			c.change(i)
			var found []Finding
			for _, f := range i.run(t, "") {
				if f.Level == c.level && strings.Contains(f.Text, c.want) {
					found = append(found, f)
				}
			}
			require.Len(t, found, 1, "%+v", i.run(t, ""))
			if c.want != "was not called" { // whose causes a stand-in does not know
				require.NotEmpty(t, found[0].Remedy)
			}
		})
	}
}

// TestWhatMayNotBeReadIsNamed runs as somebody with few rights: nothing fails for it, and the rest is checked.
func TestWhatMayNotBeReadIsNamed(t *testing.T) {
	for _, kind := range []string{"MutatingWebhook", "ValidatingWebhook", "Service", "Secret", "ConfigMap", "DaemonSet", "Pod", "Namespace"} {
		t.Run(kind, func(t *testing.T) {
			i := healthy(t)
			i.forbidden[kind] = true
			findings := i.run(t, "")
			require.False(t, Failed(findings), "%+v", findings)
			named := 0
			for _, f := range findings {
				if strings.HasPrefix(f.Text, "cannot be read: ") && f.Remedy != "" {
					named++
				}
			}
			require.NotZero(t, named, "%+v", findings)
		})
	}
}

// TestTheRemedyIsTheReplicasWhereNoneIsReady: a firewall, the likeliest cause otherwise, is not to be looked for then.
func TestTheRemedyIsTheReplicasWhereNoneIsReady(t *testing.T) {
	i := healthy(t)
	i.replicas = nil
	i.answer = apicheck.Answer{Outcome: apicheck.Unreachable, Namespace: "default", Said: "connection reset", Causes: []string{"a firewall"}}
	require.Equal(t, []Finding{{"API server", Fail, "the API server cannot call the webhook: connection reset",
		"Make a replica ready first: see the line replicas."}}, i.findingsOf(t, "API server"))
}

func TestOneNamespace(t *testing.T) {
	i := healthy(t)
	i.others = []client.Object{
		namespace("ci", map[string]string{inject.LabelInject: "true"}), namespace("other", map[string]string{inject.LabelInject: "true"}),
	}
	for _, f := range i.run(t, "ci") {
		require.NotContains(t, f.Text, "other is opted in")
	}
	require.Contains(t, i.run(t, "typo"), Finding{"namespaces", Fail, "there is no namespace typo", "Name an existing namespace with -n."})
}
