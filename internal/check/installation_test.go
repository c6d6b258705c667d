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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

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

	mayReadPods func(context.Context, string) (bool, error)
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
		mutating:   registration.Configuration(toService, "dagger-inject"),
		validating: registration.ValidatingConfiguration(toService),
		service:    &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "dagger-inject"}}},
		secret: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "dagger-inject", Name: "serving"},
			Data: map[string][]byte{corev1.TLSCertKey: cert}},
		replicas:  []*corev1.Pod{ready("dagger-inject", "one"), ready("dagger-inject", "two")},
		policy:    policyOf("dagger-inject", ""),
		engine:    &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "dagger", Name: "engine"}},
		engines:   []*corev1.Pod{ready("dagger", "engine-one")},
		answer:    apicheck.Answer{Outcome: apicheck.Injected, Namespace: "default", Said: `{"transport":"socket"}`},
		forbidden: map[string]bool{},
	}
	i.replicas[0].Spec.Volumes = []corev1.Volume{{Name: "certs",
		VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "serving"}}}}
	i.engine.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "dagger"}}
	i.engine.Spec.Template.Spec = corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "dagger-engine", Image: "registry.dagger.io/engine:v0.21.8",
			VolumeMounts: []corev1.VolumeMount{{Name: "run", MountPath: "/run/dagger"}, {Name: "data", MountPath: "/var/lib/dagger"}},
			Env:          []corev1.EnvVar{{Name: "_EXPERIMENTAL_DAGGER_METRICS_ADDR", Value: "0.0.0.0:9090"}},
			Resources:    corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("8Gi")}},
		}},
		Volumes: []corev1.Volume{
			{Name: "run", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/dagger"}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/dagger"}}},
		},
		TerminationGracePeriodSeconds: ptr.To[int64](3600),
	}
	i.engine.Spec.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType
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
	return Run(t.Context(), Options{
		Reader: i.reader(t), ReleaseNamespace: "dagger-inject", Namespace: namespace, Now: now,
		Ask: func(context.Context) apicheck.Answer { return i.answer }, MayReadPods: i.mayReadPods,
	})
}

// findingsOf runs all checks on all namespaces, and returns what one check found.
func (i *installation) findingsOf(t *testing.T, check string) []Finding {
	t.Helper()
	return slices.DeleteFunc(i.run(t, ""), func(f Finding) bool { return f.Check != check })
}

// reader reads the installation.
func (i *installation) reader(t *testing.T) client.Reader {
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
	return guarded{objects, i.forbidden}
}

// guarded forbids to read some kinds of objects.
type guarded struct {
	cluster.Objects
	forbidden map[string]bool
}

func (g guarded) check(object any) error {
	for kind := range g.forbidden {
		if strings.Contains(reflect.TypeOf(object).String(), kind) {
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
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// serve makes the webhook serve a certificate that every CA bundle holds.
func (i *installation) serve(cert []byte) {
	i.secret.Data[corev1.TLSCertKey] = cert
	for n := range i.mutating.Webhooks {
		i.mutating.Webhooks[n].ClientConfig.CABundle = cert
	}
	i.validating.Webhooks[0].ClientConfig.CABundle = cert
}
