package integration

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

const gitlabPolicy = policyHeader + `
engine: {socket: {hostPath: /run/dagger}}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: "registry.example.com/dagger-inject:v1", timeout: 5m}
`

const invalidPolicy = policyHeader + "engine: {transport: pigeon}\n"

// askingItself is the part of a runner's config.toml that labels its jobs' pods.
const askingItself = `
    [runners.kubernetes.pod_labels]
      "dagger.io/inject" = "true"
`

// setGitLabPolicy makes a policy hold in one namespace.
func setGitLabPolicy(t *testing.T, namespace, document string) {
	t.Helper()
	policies := inject.NewPolicies(config.FromFile("test", []byte(document), config.OriginCluster), nil, nil)
	shared.setPolicies(namespace, func() *inject.Policies { return policies })
}

// TestGitLabRunnersJob has GitLab Runner create the pod of a job with a service, once injected and once not.
func TestGitLabRunnersJob(t *testing.T) {
	t.Parallel()
	const namespace = "gitlab-job"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	setGitLabPolicy(t, namespace, gitlabPolicy)

	plain := startGitLab(t, gitlabJob{namespace: namespace})
	before := plain.pod(t)
	plain.cancel(t)
	run := startGitLab(t, gitlabJob{namespace: namespace, kubernetes: askingItself})
	after := run.pod(t)
	require.Equal(t, []int{http.StatusCreated}, run.codes())

	require.Equal(t, "init-permissions", before.Spec.InitContainers[0].Name)
	require.Len(t, before.Spec.InitContainers, 1)
	require.Equal(t, []string{"dagger-cli", "dagger-wait", "init-permissions"}, names(after.Spec.InitContainers))
	require.Equal(t, []string{"build", "helper", "db"}, names(after.Spec.Containers))
	require.Contains(t, after.Annotations[inject.AnnotationStatus], `"containers":["build"]`)
	require.Contains(t, after.Spec.InitContainers[1].Args, "1m0s", "the most for GitLab, whose pods have 180 s to start")

	// The job's own containers are as they are without us, but for what the build container gained.
	mine, theirs := after.Spec.Containers[0], before.Spec.Containers[0]
	t.Logf("the build container gained %d variables and %d mounts, the pod %d volumes", len(mine.Env)-len(theirs.Env),
		len(mine.VolumeMounts)-len(theirs.VolumeMounts), len(after.Spec.Volumes)-len(before.Spec.Volumes))
	require.Equal(t, inject.EnvRunnerHost, mine.Env[len(theirs.Env)].Name)
	require.Greater(t, len(mine.VolumeMounts), len(theirs.VolumeMounts))
	for i := range 3 {
		require.NotContains(t, before.Spec.Containers[i].Env, corev1.EnvVar{Name: inject.EnvRunnerHost})
	}
	require.Equal(t, withoutToken(t, before.Spec.Containers[1:]), withoutToken(t, after.Spec.Containers[1:]), "helper and service")
	require.Equal(t, withoutToken(t, before.Spec.InitContainers), withoutToken(t, after.Spec.InitContainers[2:]))

	run.cancel(t)
	var pods corev1.PodList
	require.NoError(t, shared.Client().List(t.Context(), &pods, client.InNamespace(namespace)))
	require.Empty(t, pods.Items, "what we add does not keep the runner from deleting its pod")
}

// TestGitLabRunnerTriesAgainAfterARefusal mends the policy while the runner's client tries again by itself.
func TestGitLabRunnerTriesAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	const namespace = "gitlab-mended"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	setGitLabPolicy(t, namespace, invalidPolicy)
	run := startGitLab(t, gitlabJob{namespace: namespace, kubernetes: askingItself})
	run.wait(t, "it tries again", func() bool { return len(run.codes()) >= 2 })
	setGitLabPolicy(t, namespace, gitlabPolicy)
	mended := time.Now()
	pod := run.pod(t)
	require.Contains(t, pod.Annotations[inject.AnnotationStatus], `"containers":["build"]`)

	creations := run.creations()
	after := 0
	for i, c := range creations {
		if i == len(creations)-1 {
			require.Equal(t, http.StatusCreated, c.code)
			t.Logf("created %s after the policy was mended, by attempt %d", c.at.Sub(mended).Round(time.Millisecond), i+1)
		} else {
			require.Equal(t, http.StatusServiceUnavailable, c.code)
		}
		if c.at.After(mended) {
			after++
		}
	}
	require.LessOrEqual(t, after, 1, "the first attempt after the mend creates the pod")
	run.cancel(t)
}

// TestGitLabRunnerGivesUp never mends the policy: the client's ten retries are all there is.
func TestGitLabRunnerGivesUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the 50 seconds for which GitLab Runner tries again")
	}
	t.Parallel()
	const namespace = "gitlab-never-mended"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	setGitLabPolicy(t, namespace, invalidPolicy)
	run := startGitLab(t, gitlabJob{namespace: namespace, kubernetes: askingItself})
	ended := run.ended(t)
	require.Equal(t, "runner_system_failure", ended.Reason)
	require.Contains(t, ended.Error, "pigeon", "the job's log says what is wrong")
	creations := run.creations()
	t.Logf("%d attempts in %.1f s: %s", len(creations), ended.Seconds, ended.Error)
	require.Len(t, creations, 11)
	for i, c := range creations {
		require.Equal(t, http.StatusServiceUnavailable, c.code)
		if i > 0 {
			require.GreaterOrEqual(t, c.at.Sub(creations[i-1].at), 5*time.Second)
		}
	}
}

// TestGitLabRunnerAndAWaitThatFails plays the kubelet, whose pod fails since the engine does not answer.
func TestGitLabRunnerAndAWaitThatFails(t *testing.T) {
	t.Parallel()
	const namespace = "gitlab-wait"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	setGitLabPolicy(t, namespace, gitlabPolicy)
	run := startGitLab(t, gitlabJob{namespace: namespace, kubernetes: askingItself})
	pod := run.pod(t)
	pod.Status.Phase = corev1.PodFailed
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{terminated("dagger-cli", 0), terminated("dagger-wait", 1)}
	require.NoError(t, shared.Client().Status().Update(t.Context(), &pod))
	failed := time.Now()
	ended := run.ended(t)
	t.Logf("failed %.1f s after the pod: %s", run.finished.Sub(failed).Seconds(), ended.Error)
	require.Equal(t, "runner_system_failure", ended.Reason)
	require.Equal(t, []int{http.StatusCreated}, run.codes(), "it has one pod")
	require.NotContains(t, run.log.String()+ended.Error, "no engine answers", "the job's log does not say why: the documentation says so")
}

func terminated(name string, code int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: "no engine answers"},
	}}
}

// TestGitLabRunnerAndFailures shows what the runner does where nobody asks its client to try again. It does so itself where the text
// of the error is one that it knows, or one that its configuration names.
func TestGitLabRunnerAndFailures(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		webhook  func(*testing.T) admissionregistrationv1.WebhookClientConfig
		config   string
		text     string
		code     int
		attempts int
	}{
		"gitlab-nobody-listens": {unreachable, askingItself, "connection refused", http.StatusInternalServerError, 5},
		"gitlab-no-answer":      {unanswered, askingItself, "context deadline exceeded", http.StatusInternalServerError, 1},
		"gitlab-no-answer-named": {unanswered, askingItself + `
    [runners.kubernetes.retry_limits]
      "failed calling webhook" = 2
`, "context deadline exceeded", http.StatusInternalServerError, 2},
		"gitlab-internal-fault": {faulty, askingItself, "failed calling webhook", http.StatusInternalServerError, 1},
		"gitlab-quota":          {nil, "", "exceeded quota", http.StatusForbidden, 1},
	}
	for namespace, c := range cases {
		t.Run(namespace, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, shared.CreateNamespace(t.Context(), namespace, map[string]string{liveLabel: namespace}, nil))
			if c.webhook == nil {
				require.NoError(t, shared.CreateQuota(t.Context(), namespace, corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}))
			} else {
				defer registerFor(t, namespace, c.webhook(t))()
			}
			run := startGitLab(t, gitlabJob{namespace: namespace, kubernetes: c.config})
			ended := run.ended(t)
			creations := run.creations()
			require.NotEmpty(t, creations, ended.Error)
			t.Logf("%d attempts, failed %.1f s after the first: %s", len(creations),
				run.finished.Sub(creations[0].at).Seconds(), ended.Error)
			require.Equal(t, "runner_system_failure", ended.Reason)
			require.Contains(t, ended.Error, c.text)
			require.Len(t, creations, c.attempts)
			for _, creation := range creations {
				require.Equal(t, c.code, creation.code)
			}
		})
	}
}

// TestGitLabRunnersJobLabelsItsPod has the job's author set the label, where the runner lets authors set labels.
func TestGitLabRunnersJobLabelsItsPod(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		config, policy string
		injected       bool
	}{
		"gitlab-author-may":     {`pod_labels_overwrite_allowed = ".*"`, gitlabPolicy, true},
		"gitlab-author-may-not": {`pod_labels_overwrite_allowed = ".*"`, gitlabPolicy + "namespaces: {podLabel: requireNamespaceLabel}\n", false},
	}
	for namespace, c := range cases {
		t.Run(namespace, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
			setGitLabPolicy(t, namespace, c.policy)
			run := startGitLab(t, gitlabJob{
				namespace: namespace, kubernetes: c.config, variables: map[string]string{"KUBERNETES_POD_LABELS_1": "dagger.io/inject=true"},
			})
			pod := run.pod(t)
			require.Equal(t, "true", pod.Labels[inject.LabelInject])
			require.NotZero(t, shared.calls(namespace))
			require.Equal(t, c.injected, len(pod.Spec.InitContainers) == 3, names(pod.Spec.InitContainers))
			run.cancel(t)
		})
	}
}

func names(containers []corev1.Container) []string {
	all := make([]string, 0, len(containers))
	for _, c := range containers {
		all = append(all, c.Name)
	}
	return all
}

// withoutToken returns containers as text, without the random part of the name of their token's volume.
func withoutToken(t *testing.T, containers []corev1.Container) string {
	t.Helper()
	text, err := json.Marshal(containers)
	require.NoError(t, err)
	return tokenName.ReplaceAllString(string(text), "")
}

// registerFor registers a webhook in our place, for one namespace, and returns how to take it away.
func registerFor(t *testing.T, namespace string, reached admissionregistrationv1.WebhookClientConfig) func() {
	t.Helper()
	configuration := registration.Configuration(func(string) admissionregistrationv1.WebhookClientConfig { return reached }, releaseNamespace)
	configuration.Name += "-" + namespace
	for i := range configuration.Webhooks {
		selector := configuration.Webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: liveLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{namespace},
		})
	}
	require.NoError(t, shared.RegisterWebhooks(t.Context(), configuration))
	ctx := context.WithoutCancel(t.Context())
	return func() { require.NoError(t, shared.DeleteWebhooks(ctx, configuration)) }
}

// unreachable is a webhook whose port is closed, as that of a Service without endpoints is.
func unreachable(t *testing.T) admissionregistrationv1.WebhookClientConfig {
	t.Helper()
	// A port that nobody is given meanwhile.
	return admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://" + program.Loopback(1))}
}

// unanswered is a webhook that hangs.
func unanswered(t *testing.T) admissionregistrationv1.WebhookClientConfig {
	return served(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the caller has gone
		<-r.Context().Done()
	})
}

// faulty is a webhook that answers as ours does when it panics.
func faulty(t *testing.T) admissionregistrationv1.WebhookClientConfig {
	return served(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the webhook panicked", http.StatusInternalServerError)
	})
}

func served(t *testing.T, handler http.HandlerFunc) admissionregistrationv1.WebhookClientConfig {
	t.Helper()
	s := httptest.NewTLSServer(handler)
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(s.URL), CABundle: ca}
}
