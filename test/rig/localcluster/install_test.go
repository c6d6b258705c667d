package localcluster

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/webhook"
)

func TestOneCommandInstallsAndPodsAreInjected(t *testing.T) {
	began := time.Now()
	install(t)
	requireInjected(t)
	t.Logf("from helm install to the first injected pods: %s", time.Since(began).Round(time.Millisecond))

	var tls corev1.Secret
	require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: ReleaseNamespace, Name: "dagger-inject-tls"}, &tls))
	require.Equal(t, "dagger-inject", tls.Annotations["cert-manager.io/certificate-name"], "issued by cert-manager")
	bundle, err := shared.CABundle(t.Context())
	require.NoError(t, err)
	require.Equal(t, string(tls.Data["ca.crt"]), bundle, "filled by cainjector")

	replicas, err := shared.Replicas(t.Context())
	require.NoError(t, err)
	require.Len(t, replicas, 2)
	require.NotEqual(t, replicas[0].Spec.NodeName, replicas[1].Spec.NodeName, "spread over the nodes")
	for _, pod := range replicas {
		require.Zero(t, pod.Status.ContainerStatuses[0].RestartCount)
		require.Equal(t, "dagger-inject", pod.Spec.ServiceAccountName)
	}
}

func TestAPolicyOfANamespaceIsReadWithTheChartsRights(t *testing.T) {
	install(t)
	namespace := newNamespace(t, nil)
	policy := &corev1.ConfigMap{Data: map[string]string{"policy.yaml": "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n" +
		"engine: {transport: tcp, tcp: {address: engine-of-the-team.ci.svc:1234}}\n"}}
	policy.Namespace, policy.Name = namespace, "dagger-inject-policy"
	require.NoError(t, shared.Client().Create(t.Context(), policy))
	require.EventuallyWithT(t, func(c *assertT) {
		pod := RunnerPod(namespace, true)
		require.NoError(c, shared.Client().Create(t.Context(), pod, client.DryRunAll))
		require.Contains(c, pod.Annotations["dagger.io/status"], "engine-of-the-team.ci.svc:1234")
	}, patience, 50*time.Millisecond)
}

func TestAWebhookThatIsDownBlocksOnlyPodsThatAskForIt(t *testing.T) {
	install(t)
	labelled, namespaced := newNamespace(t, nil), newNamespace(t, optedIn)
	scale := func(replicas int32) {
		var deployment appsv1.Deployment
		require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: ReleaseNamespace, Name: "dagger-inject"}, &deployment))
		patch := client.MergeFrom(deployment.DeepCopy())
		deployment.Spec.Replicas = ptr.To(replicas)
		require.NoError(t, shared.Client().Patch(t.Context(), &deployment, patch))
	}
	scale(0)
	require.EventuallyWithT(t, func(c *assertT) {
		replicas, err := shared.Replicas(t.Context())
		require.NoError(c, err)
		require.Empty(c, replicas)
		err = shared.Client().Create(t.Context(), RunnerPod(labelled, true), client.DryRunAll)
		require.True(c, apierrors.IsInternalError(err), "a pod that asks is refused, and its controller tries again: %v", err)
	}, patience, 50*time.Millisecond)

	for name, pod := range map[string]*corev1.Pod{
		"without any label":                    RunnerPod(labelled, false),
		"that its namespace asks for":          RunnerPod(namespaced, false),
		"in kube-system, with the label":       RunnerPod("kube-system", true),
		"in the webhook's own, with the label": RunnerPod(ReleaseNamespace, true),
	} {
		require.NoError(t, shared.Client().Create(t.Context(), pod), "a pod %s", name)
		require.False(t, isInjected(pod), "a pod %s", name)
		require.NoError(t, shared.Client().Delete(t.Context(), pod))
	}

	// Its replicas are pods of its own namespace: it comes back by itself.
	scale(2)
	require.EventuallyWithT(t, func(c *assertT) {
		require.NoError(c, shared.Client().Create(t.Context(), RunnerPod(labelled, true), client.DryRunAll))
	}, patience, 50*time.Millisecond)
}

func TestAnUpgradeTakesNoFieldFromCAInjector(t *testing.T) {
	install(t)
	before, err := shared.CABundle(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, before)
	for _, serverSide := range []string{"true", "false"} {
		upgrade(t, "--server-side="+serverSide, "--set", "webhook.timeoutSeconds=4")
		after, err := shared.CABundle(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after)

		var configuration admissionregistrationv1.MutatingWebhookConfiguration
		require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Name: registration.ConfigurationName}, &configuration))
		require.Equal(t, int32(4), *configuration.Webhooks[0].TimeoutSeconds)
		requireOwner(t, &configuration, "f:caBundle", "cainjector")
		requireInjected(t)
	}
}

func TestAnInstallationThatTheAPIServerCannotReachFailsAndSaysWhy(t *testing.T) {
	if err := shared.CreateNamespace(t.Context(), ReleaseNamespace, nil, nil); client.IgnoreAlreadyExists(err) != nil {
		require.NoError(t, err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ReleaseNamespace, Name: "my-certificate"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{}}
	var otherCA string
	for _, folder := range []string{t.TempDir(), t.TempDir()} {
		_, err := webhook.EnsureCertificate(folder)
		require.NoError(t, err)
		for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			secret.Data[name], err = os.ReadFile(filepath.Join(folder, name))
			require.NoError(t, err)
		}
		if otherCA == "" {
			otherCA = filepath.Join(folder, corev1.TLSCertKey)
		}
	}
	require.NoError(t, shared.Client().Create(t.Context(), secret))
	t.Cleanup(func() { require.NoError(t, shared.Client().Delete(context.Background(), secret)) })

	uninstallAfter(t)
	_, err := shared.Helm(t.Context(), append([]string{
		"install", "dagger-inject", "--namespace", ReleaseNamespace, "--wait", "--timeout", patience.String(), "--set", "check.timeout=5s",
		"--set", "certificates.mode=existingSecret", "--set", "certificates.secretName=my-certificate", "--set-file",
		"certificates.caBundle=" + otherCA,
	}, chartArguments(t)...)...)
	require.ErrorContains(t, err, "the API server cannot call the webhook")
	require.ErrorContains(t, err, "x509")
}
