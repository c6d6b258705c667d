package chart

import (
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// through says how the API server reaches a path of the Service in a case.
func through(service string, port int32, ca []byte) func(string) admissionregistrationv1.WebhookClientConfig {
	return func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{
			CABundle: ca,
			Service: &admissionregistrationv1.ServiceReference{
				Name: service, Namespace: namespace, Path: ptr.To(path), Port: ptr.To(port),
			},
		}
	}
}

func TestWebhookConfigurationsAreTheProgramsOwn(t *testing.T) {
	rendered := objects(t, values{})
	client := through("dagger-inject", 443, nil)
	mutating := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, rendered)
	require.Equal(t, registration.ConfigurationName, mutating.Name)
	require.Equal(t, registration.Configuration(client, namespace).Webhooks, mutating.Webhooks)

	validating := one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, rendered)
	require.Equal(t, registration.ValidatingConfigurationName, validating.Name)
	want := registration.ValidatingConfiguration(client).Webhooks
	// What the API server fills in is written out in the chart.
	want[0].NamespaceSelector, want[0].ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
	require.Equal(t, want, validating.Webhooks)
}

func TestWebhookConfigurationsFollowTheValues(t *testing.T) {
	rendered := objects(t, cases(t)["everything"])
	client := through("inject", 8443, nil)
	want := registration.Configuration(client, namespace).Webhooks
	for i := range want {
		want[i].TimeoutSeconds = ptr.To[int32](5)
		excluded := &want[i].NamespaceSelector.MatchExpressions[0]
		excluded.Values = append(excluded.Values, "monitoring")
	}
	want[0].FailurePolicy, want[1].FailurePolicy = ptr.To(admissionregistrationv1.Ignore), ptr.To(admissionregistrationv1.Fail)
	mutating := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, rendered)
	require.Equal(t, want, mutating.Webhooks)
	require.Equal(t, "yes", mutating.Annotations["example.com/webhook"])

	validating := one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, rendered)
	require.Equal(t, admissionregistrationv1.Fail, *validating.Webhooks[0].FailurePolicy)
	require.Equal(t, client(registration.PathValidate), validating.Webhooks[0].ClientConfig)
}

const injectCA = "cert-manager.io/inject-ca-from"

func TestCertificatesOfCertManager(t *testing.T) {
	for name, c := range map[string]struct{ objects, secret, ca string }{
		"default":         {"dagger-inject", "dagger-inject-tls", "dagger-inject-ca"},
		"everything":      {"inject", "inject-serving", "inject-ca"},
		"existing-issuer": {"dagger-inject", "dagger-inject-tls", "dagger-inject"},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := objects(t, cases(t)[name])
			serving := named[*certmanagerv1.Certificate](t, rendered, c.objects)
			require.Equal(t, c.secret, serving.Spec.SecretName)
			require.Equal(t, []string{c.objects + "." + namespace + ".svc"}, serving.Spec.DNSNames, "the name that the API server asks for")
			for _, certificate := range all[*certmanagerv1.Certificate](rendered) {
				require.Equal(t, certmanagerv1.RotationPolicyAlways, certificate.Spec.PrivateKey.RotationPolicy)
			}
			for _, configuration := range configurations(t, rendered) {
				require.Equal(t, namespace+"/"+c.ca, configuration.GetAnnotations()[injectCA])
			}
			volume := one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.Volumes[0]
			require.Equal(t, c.secret, volume.Secret.SecretName)

			if name == "existing-issuer" {
				require.Empty(t, all[*certmanagerv1.Issuer](rendered))
				require.Equal(t, "vault", serving.Spec.IssuerRef.Name)
				require.Equal(t, "ClusterIssuer", serving.Spec.IssuerRef.Kind)
				require.Equal(t, "issuers.example.com", serving.Spec.IssuerRef.Group)
				return
			}
			// Self-signed, then the CA, then the serving certificate.
			require.NotNil(t, named[*certmanagerv1.Issuer](t, rendered, c.objects+"-selfsigned").Spec.SelfSigned)
			ca := named[*certmanagerv1.Certificate](t, rendered, c.objects+"-ca")
			require.True(t, ca.Spec.IsCA)
			require.Equal(t, c.objects+"-selfsigned", ca.Spec.IssuerRef.Name)
			require.Equal(t, ca.Spec.SecretName, named[*certmanagerv1.Issuer](t, rendered, c.objects+"-ca").Spec.CA.SecretName)
			require.Equal(t, c.objects+"-ca", serving.Spec.IssuerRef.Name)
			require.Greater(t, ca.Spec.Duration.Duration/3, serving.Spec.Duration.Duration, "the CA is renewed while it outlives what it signs")
		})
	}
}

func TestACertificateThatIsThere(t *testing.T) {
	rendered := objects(t, cases(t)["existing-secret"])
	require.Empty(t, all[*certmanagerv1.Certificate](rendered))
	require.Empty(t, all[*certmanagerv1.Issuer](rendered))
	require.Equal(t, "my-serving-certificate", one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.Volumes[0].Secret.SecretName)
	for _, configuration := range configurations(t, rendered) {
		require.NotContains(t, configuration.GetAnnotations(), injectCA)
	}
	ca := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, rendered).Webhooks[0].ClientConfig.CABundle
	require.Equal(t, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", string(ca))
}

func configurations(t *testing.T, rendered []client.Object) []client.Object {
	t.Helper()
	return []client.Object{
		one[*admissionregistrationv1.MutatingWebhookConfiguration](t, rendered),
		one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, rendered),
	}
}

func TestTheServiceLeadsToTheWebhook(t *testing.T) {
	for name, set := range cases(t) {
		rendered := objects(t, set)
		service, deployment := one[*corev1.Service](t, rendered), one[*appsv1.Deployment](t, rendered)
		reference := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, rendered).Webhooks[0].ClientConfig.Service
		require.Equal(t, service.Name, reference.Name, name)
		require.Equal(t, service.Spec.Ports[0].Port, *reference.Port, name)
		require.Equal(t, deployment.Spec.Selector.MatchLabels, service.Spec.Selector, name)
		ports := map[string]int32{}
		for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
			ports[port.Name] = port.ContainerPort
		}
		for _, port := range service.Spec.Ports {
			require.Contains(t, ports, port.TargetPort.String(), name)
		}
		for label, value := range deployment.Spec.Selector.MatchLabels {
			require.Equal(t, value, deployment.Spec.Template.Labels[label], name)
		}
	}
}

func TestNotInjectedPolicyNeverRefuses(t *testing.T) {
	rendered := objects(t, cases(t)["everything"])
	policy := one[*admissionregistrationv1.ValidatingAdmissionPolicy](t, rendered)
	require.Equal(t, admissionregistrationv1.Ignore, *policy.Spec.FailurePolicy)
	require.Equal(t, []string{"kube-system", "kube-public", "kube-node-lease", namespace, "monitoring"},
		policy.Spec.MatchConstraints.NamespaceSelector.MatchExpressions[0].Values)
	binding := one[*admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, rendered)
	require.Equal(t, policy.Name, binding.Spec.PolicyName)
	require.Equal(t, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Audit}, binding.Spec.ValidationActions)
}
