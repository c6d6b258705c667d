package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/webhook"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// certificate makes a self-signed one for a name, in PEM.
func certificate(t *testing.T, name string, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// installation is a cluster where everything is right, until a case changes it.
type installation struct {
	mutating   *admissionregistrationv1.MutatingWebhookConfiguration
	validating *admissionregistrationv1.ValidatingWebhookConfiguration
	service    *corev1.Service
	secret     *corev1.Secret
	replicas   []*corev1.Pod
	policy     *corev1.ConfigMap
	engine     *appsv1.DaemonSet
	engines    []*corev1.Pod
	others     []client.Object
	answer     apicheck.Answer
	forbidden  map[string]bool // kinds that may not be read
}

const serviceName = "dagger-inject.dagger-inject.svc"

func healthy(t *testing.T) *installation {
	t.Helper()
	cert := certificate(t, serviceName, now.Add(60*24*time.Hour))
	toService := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{CABundle: cert, Service: &admissionregistrationv1.ServiceReference{
			Namespace: "dagger-inject", Name: "dagger-inject", Path: &path,
		}}
	}
	ready := func(namespace, name string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": namespace}},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		}
	}
	meta := metav1.ObjectMeta{Namespace: "dagger-inject", Name: "dagger-inject"}
	i := &installation{
		mutating:   webhook.Configuration(toService, "dagger-inject"),
		validating: webhook.ValidatingConfiguration(toService),
		service:    &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "dagger-inject"}}},
		secret:     &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "dagger-inject", Name: "serving"}, Data: map[string][]byte{corev1.TLSCertKey: cert}},
		replicas:   []*corev1.Pod{ready("dagger-inject", "one"), ready("dagger-inject", "two")},
		policy:     policyOf("dagger-inject", ""),
		engine:     &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "dagger", Name: "engine"}},
		engines:    []*corev1.Pod{ready("dagger", "engine-one")},
		answer:     apicheck.Answer{Outcome: apicheck.Injected, Namespace: "default", Said: `{"transport":"socket"}`},
		forbidden:  map[string]bool{},
	}
	i.replicas[0].Spec.Volumes = []corev1.Volume{{Name: "certs", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "serving"}}}}
	i.engine.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "dagger"}}
	i.engine.Spec.Template.Spec = corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "dagger-engine", Image: "registry.dagger.io/engine:v0.21.8", VolumeMounts: []corev1.VolumeMount{{Name: "run", MountPath: "/run/dagger"}},
		}},
		Volumes: []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/dagger"}}}},
	}
	return i
}

func policyOf(namespace, more string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: config.ConfigMapName},
		Data:       map[string]string{"policy.yaml": "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n" + more},
	}
}

func (i *installation) run(t *testing.T, namespace string) []Finding {
	t.Helper()
	objects := cluster.Objects{}
	add := func(apiVersion, kind string, all ...client.Object) {
		for _, one := range all {
			text, err := json.Marshal(one)
			require.NoError(t, err)
			var object unstructured.Unstructured
			require.NoError(t, json.Unmarshal(text, &object.Object))
			object.SetAPIVersion(apiVersion)
			object.SetKind(kind)
			objects = append(objects, object)
		}
	}
	add("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", i.mutating)
	add("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", i.validating)
	add("v1", "Service", i.service)
	add("v1", "Secret", i.secret)
	add("v1", "ConfigMap", i.policy)
	add("apps/v1", "DaemonSet", i.engine)
	for _, pod := range append(i.replicas, i.engines...) {
		add("v1", "Pod", pod)
	}
	for _, other := range i.others {
		gvk := other.GetObjectKind().GroupVersionKind()
		add(gvk.GroupVersion().String(), gvk.Kind, other)
	}
	return Run(t.Context(), Options{
		Reader: guarded{objects, i.forbidden}, ReleaseNamespace: "dagger-inject", Namespace: namespace, Now: now,
		Ask: func(context.Context) apicheck.Answer { return i.answer },
	})
}

// guarded forbids to read some kinds of objects.
type guarded struct {
	cluster.Objects
	forbidden map[string]bool
}

func (g guarded) check(object any) error {
	for kind := range g.forbidden {
		if strings.Contains(typeName(object), kind) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, "", nil)
		}
	}
	return nil
}

func (g guarded) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if err := g.check(into); err != nil {
		return err
	}
	return g.Objects.Get(ctx, key, into, opts...)
}

func (g guarded) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	if err := g.check(into); err != nil {
		return err
	}
	return g.Objects.List(ctx, into, opts...)
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

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
ok    webhooks     policy.inject.dagger.io leads to Service dagger-inject/dagger-inject
ok    replicas     2 of 2 replicas behind Service dagger-inject/dagger-inject ready
ok    certificate  every CA bundle matches the certificate, which has 60 days left
ok    API server   the webhook answers: a pod in namespace default would be injected by socket
ok    policies     the cluster's policy is valid
ok    engines      DaemonSet dagger/engine v0.21.8: 1 of 1 pod ready
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
		"nothing installed":   {func(i *installation) { i.mutating.Webhooks = nil }, Fail, "no MutatingWebhookConfiguration has the entries"},
		"no validation":       {func(i *installation) { i.validating.Webhooks = nil }, Warn, "policies are not validated"},
		"another path":        {func(i *installation) { *i.mutating.Webhooks[0].ClientConfig.Service.Path = "/other" }, Fail, `the path "/other"`},
		"no CA bundle":        {func(i *installation) { i.mutating.Webhooks[1].ClientConfig.CABundle = nil }, Fail, "namespace.inject.dagger.io has no caBundle"},
		"another namespace":   {func(i *installation) { i.mutating.Webhooks[0].ClientConfig.Service.Namespace = "old" }, Warn, "leads to Service old/dagger-inject"},
		"no Service":          {func(i *installation) { i.service.Name = "other" }, Fail, "there is no Service dagger-inject/dagger-inject"},
		"no replica is ready": {func(i *installation) { i.replicas = i.replicas[:1]; i.replicas[0].Status.Conditions = nil }, Fail, "0 of 1 replica"},
		"no replica at all":   {func(i *installation) { i.replicas = nil }, Fail, "0 of 0 replicas"},
		"a replica is not":    {func(i *installation) { i.replicas[0].Status.Conditions = nil }, Warn, "1 of 2 replicas"},
		"one replica":         {func(i *installation) { i.replicas = i.replicas[:1] }, Warn, "1 of 1 replica"},
		"another certificate": {func(i *installation) {
			i.secret.Data[corev1.TLSCertKey] = certificate(t, serviceName, now.Add(time.Hour))
		}, Fail, "does not trust the certificate in Secret dagger-inject/serving"},
		"another name":          {func(i *installation) { i.serve(certificate(t, "other.svc", now.Add(time.Hour))) }, Fail, "valid for other.svc"},
		"an expired one":        {func(i *installation) { i.serve(certificate(t, serviceName, now.Add(-time.Minute))) }, Fail, "expired"},
		"one that expires":      {func(i *installation) { i.serve(certificate(t, serviceName, now.Add(49*time.Hour))) }, Warn, "has 2 days left"},
		"no certificate at all": {func(i *installation) { i.secret.Data = nil }, Warn, "no certificate in PEM"},
		"not reached":           {func(i *installation) { i.answer = apicheck.Answer{Outcome: apicheck.NotCalled, Namespace: "default"} }, Fail, "was not called"},
		"not allowed to ask": {func(i *installation) {
			i.answer = apicheck.Answer{Outcome: apicheck.Failed, Said: `pods is forbidden: User "u" cannot create`}
		}, Warn, "cannot be tried"},
		"no policy":         {func(i *installation) { i.policy.Name = "other" }, Fail, "the cluster has no policy"},
		"an invalid policy": {func(i *installation) { i.policy = policyOf("dagger-inject", "engines: {}\n") }, Fail, "the cluster's policy is invalid"},
		"an invalid one of a namespace": {func(i *installation) {
			cm := policyOf("ci", "onError: admit\n")
			cm.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
			i.others = append(i.others, cm)
		}, Fail, "the policy of namespace ci is invalid"},
		"no engine":               {func(i *installation) { i.engine.Spec.Template.Spec = corev1.PodSpec{} }, Warn, "none of the 1 workloads has a container dagger-engine"},
		"no engine that is ready": {func(i *installation) { i.engines[0].Status.Conditions = nil }, Fail, "none of 1 pod is ready"},
		"a namespace without an engine": {func(i *installation) {
			i.others = append(i.others, namespace("ci", map[string]string{inject.LabelInject: "true", "pod-security.kubernetes.io/enforce": "baseline"}))
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

// serve makes the webhook serve a certificate that every CA bundle holds.
func (i *installation) serve(cert []byte) {
	i.secret.Data[corev1.TLSCertKey] = cert
	for n := range i.mutating.Webhooks {
		i.mutating.Webhooks[n].ClientConfig.CABundle = cert
	}
	i.validating.Webhooks[0].ClientConfig.CABundle = cert
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
	for _, f := range i.run(t, "") {
		if f.Check == "API server" {
			require.Equal(t, Finding{"API server", Fail, "the API server cannot call the webhook: connection reset", "Have replicas ready first: see the line replicas."}, f)
			return
		}
	}
	require.Fail(t, "the API server was not asked")
}

func TestOneNamespace(t *testing.T) {
	i := healthy(t)
	i.others = []client.Object{
		namespace("ci", map[string]string{inject.LabelInject: "true"}), namespace("other", map[string]string{inject.LabelInject: "true"}),
	}
	for _, f := range i.run(t, "ci") {
		require.NotContains(t, f.Text, "other is opted in")
	}
	require.Contains(t, i.run(t, "typo"), Finding{"namespaces", Fail, "there is no namespace typo", "Give -n the name of one."})
}

func typeName(object any) string { return reflect.TypeOf(object).String() }
