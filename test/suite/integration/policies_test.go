package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

const socketHost = "unix:///run/dagger/engine.sock"

func tcpPolicy(address string) string {
	return policyHeader + "engine: {transport: tcp, tcp: {address: '" + address + "'}}\n"
}

func TestANamespacesPolicyRefinesTheClusters(t *testing.T) {
	liveNamespace(t, "live-plain", nil)
	liveNamespace(t, "live-refined", nil)
	put(t, policyMap("live-refined", tcpPolicy("engine.ci:1"), "large", policyHeader+"env: [{name: SIZE, value: large}]\n"))
	require.Equal(t, socketHost, host(create(t, "live-plain", annotated("p", nil), "")))

	refined := create(t, "live-refined", annotated("p", nil), "")
	require.Equal(t, "tcp://engine.ci:1", host(refined))
	require.Len(t, refined.pod.Spec.InitContainers, 1, "the cluster's CLI still holds")
	require.Contains(t, refined.pod.Annotations[inject.AnnotationStatus], `"source":"ConfigMap live-refined/dagger-inject-policy"`)

	large := create(t, "live-refined",
		annotated("large", map[string]string{inject.AnnotationPolicy: "large", inject.AnnotationContainers: "b"}), "")
	require.Equal(t, "tcp://engine.ci:1", host(large), "a profile is layered on the default one")
	require.Empty(t, large.pod.Spec.Containers[0].Env)
	require.Contains(t, large.stored, `"name":"SIZE"`)
}

func TestAPolicyChangesAndIsGoneWhenDeleted(t *testing.T) {
	liveNamespace(t, "live-changing", nil)
	put(t, policyMap("live-changing", tcpPolicy("one:1")))
	require.Equal(t, "tcp://one:1", host(create(t, "live-changing", annotated("one", nil), "?dryRun=All")))
	put(t, policyMap("live-changing", tcpPolicy("two:2")))
	requireSoon(t, func() bool {
		return host(create(t, "live-changing", annotated("two", nil), "?dryRun=All")) == "tcp://two:2"
	})
	require.NoError(t, shared.Client().Delete(t.Context(), policyMap("live-changing", "")))
	requireSoon(t, func() bool {
		return host(create(t, "live-changing", annotated("three", nil), "?dryRun=All")) == socketHost
	})
}

// requireSoon waits for a change to take effect. How soon that is on an idle machine is the benchmark's to say, not a test's.
func requireSoon(t *testing.T, done func() bool) {
	t.Helper()
	// In the test's own goroutine: what is tried fails the test by itself.
	require.NoError(t, poll.Until(t.Context(), "it takes effect", 10*time.Millisecond, patience, func(context.Context) error {
		if !done() {
			return errors.New("it has not")
		}
		return nil
	}))
}

// TestEverythingInTheSameBreath creates a namespace, its policy and a pod back to back, faster than any cache follows.
func TestEverythingInTheSameBreath(t *testing.T) {
	startLive(t)
	for i := range 200 {
		name := fmt.Sprintf("live-breath-%d", i)
		labels := map[string]string{}
		if i%2 == 0 {
			labels = optedIn
		}
		liveNamespace(t, name, labels)
		require.NoError(t, shared.Client().Create(t.Context(), policyMap(name, tcpPolicy(fmt.Sprintf("engine-%d:1", i)))))
		pod := annotated("p", nil)
		if i%2 == 0 {
			pod = runner("p", nil)
		}
		created := create(t, name, pod, "")
		require.Equal(t, http.StatusCreated, created.code, created.status.Message)
		require.Equal(t, fmt.Sprintf("tcp://engine-%d:1", i), host(created), name)
	}
}

func TestAnOldNamespaceThatIsLabelledNow(t *testing.T) {
	liveNamespace(t, "live-labelled-late", nil)
	require.Empty(t, host(create(t, "live-labelled-late", runner("before", nil), "")))
	var ns corev1.Namespace
	require.NoError(t, shared.Client().Get(t.Context(), nsKey("live-labelled-late"), &ns))
	ns.Labels[inject.LabelInject] = "true"
	require.NoError(t, shared.Client().Update(t.Context(), &ns))
	// The API server's own view of labels may lag for a few milliseconds; ours must not add to that.
	requireSoon(t, func() bool {
		return host(create(t, "live-labelled-late", runner("after", nil), "?dryRun=All")) == socketHost
	})
}

// TestASteadyStreamMakesNoCalls counts, in the audit log, what the webhook asks of the API server while pods stream in.
func TestASteadyStreamMakesNoCalls(t *testing.T) {
	t.Parallel()
	liveNamespace(t, "live-steady", nil)
	time.Sleep(31 * time.Second) // a namespace younger than that may have a policy that the cache does not show
	create(t, "live-steady", annotated("warm", nil), "?dryRun=All")
	calls := func() int {
		text, err := os.ReadFile(shared.AuditLog())
		require.NoError(t, err)
		n := 0
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"username":"system:serviceaccount:live-release:default"`) && strings.Contains(line, "live-steady") {
				n++
			}
		}
		return n
	}
	before := calls()
	for i := range 200 {
		require.Equal(t, socketHost, host(create(t, "live-steady", annotated(fmt.Sprintf("p-%d", i), nil), "?dryRun=All")))
	}
	require.Equal(t, before, calls())
}

// TestARefusedPodSucceedsOnceThePolicyIsMended is what a creator sees: the code and the message, by client-go; then the
// policy is mended, and the same creation succeeds with nothing restarted.
func TestARefusedPodSucceedsOnceThePolicyIsMended(t *testing.T) {
	liveNamespace(t, "live-mended", nil)
	put(t, policyMap("live-mended", policyHeader+"engine:\n  socket: {hostPath: /etc}\n  tranport: tcp\n"))
	client, err := kubernetes.NewForConfig(shared.Config())
	require.NoError(t, err)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: optedIn},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "i"}}},
	}
	// client-go repeats a 503 by itself where it says when; ours does not, for any but GitLab's pods.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	requireSoon(t, func() bool {
		_, err = client.CoreV1().Pods("live-mended").Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil
	})
	require.True(t, apierrors.IsServiceUnavailable(err), "%v", err)
	require.ErrorContains(t, err, `admission webhook "pod.inject.dagger.io" denied the request`)
	require.ErrorContains(t, err, "ConfigMap live-mended/dagger-inject-policy, key policy.yaml: line 5: "+
		"engine.tranport: unknown field: did you mean transport?")
	require.ErrorContains(t, err, "line 4: engine.socket.hostPath: locked: the cluster's policy does not let namespaces set it")

	put(t, policyMap("live-mended", tcpPolicy("mended:1")))
	requireSoon(t, func() bool {
		_, err := client.CoreV1().Pods("live-mended").Create(t.Context(), pod, metav1.CreateOptions{})
		return err == nil
	})
}

// TestABadNamespacePolicyFollowsTheClustersOnError: the namespace's entry admits under auto, and never with an older policy.
func TestABadNamespacePolicyFollowsTheClustersOnError(t *testing.T) {
	liveNamespace(t, "live-bad", optedIn)
	put(t, policyMap("live-bad", tcpPolicy("good:1")))
	requireSoon(t, func() bool { return host(create(t, "live-bad", runner("p", nil), "?dryRun=All")) == "tcp://good:1" })
	put(t, policyMap("live-bad", policyHeader+"nonsense: true\n"))
	var created creation
	requireSoon(t, func() bool {
		created = create(t, "live-bad", runner("p", nil), "?dryRun=All")
		return created.code == http.StatusCreated && host(created) == ""
	})
	require.Contains(t, strings.Join(created.warnings, " "),
		"admitted without an engine: The injection policy is invalid (ConfigMap live-bad/dagger-inject-policy, key policy.yaml: line 3: "+
			"nonsense: unknown field")
}

// TestAnAnnotationGainsNothing: what the cluster's policy does not let pods choose is refused, not ignored.
func TestAnAnnotationGainsNothing(t *testing.T) {
	liveNamespace(t, "live-annotations", nil)
	cases := map[string]struct{ annotation, value, want string }{
		"transport":          {inject.AnnotationTransport, "tcp", "the policy does not let pods choose engine.transport"},
		"cli":                {inject.AnnotationCLI, "none", "the policy does not let pods choose cli.delivery"},
		"wait":               {inject.AnnotationWait, "false", "the policy does not let pods choose wait.enabled"},
		"an unknown profile": {inject.AnnotationPolicy, "root", `there is no profile \"root\": known are policy`},
		"too many patterns":  {inject.AnnotationContainers, strings.Repeat("a,", 100), "it is too long"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			created := create(t, "live-annotations", annotated("p", map[string]string{c.annotation: c.value}), "?dryRun=All")
			require.Equal(t, http.StatusServiceUnavailable, created.code)
			require.Contains(t, created.status.Message, strings.ReplaceAll(c.want, `\"`, `"`))
		})
	}
}

func TestALimitRangesMinimumIsMet(t *testing.T) {
	liveNamespace(t, "live-limits", nil)
	least := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("96Mi")}
	require.NoError(t, shared.Client().Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: "live-limits", Name: "least"},
		Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Min: least}}},
	}))
	pod := strings.ReplaceAll(string(annotated("p", nil)), `"image":"i"`,
		`"image":"i","resources":{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"2","memory":"1Gi"}}`)
	var created creation
	requireSoon(t, func() bool {
		created = create(t, "live-limits", []byte(pod), "?dryRun=All")
		return created.code == http.StatusCreated
	})
	require.Equal(t, "250m", created.pod.Spec.InitContainers[0].Resources.Requests.Cpu().String())
	require.Equal(t, "2", created.pod.Spec.InitContainers[0].Resources.Limits.Cpu().String(), "the highest of the pod's own")
	require.Equal(t, "96Mi", created.pod.Spec.InitContainers[0].Resources.Requests.Memory().String())
}

// TestWhatTheServiceAccountMayRead: the policies of every namespace, by their name, and no other ConfigMap and no Secret.
func TestWhatTheServiceAccountMayRead(t *testing.T) {
	liveNamespace(t, "live-rights", nil)
	put(t, policyMap("live-rights", tcpPolicy("a:1")))
	account, err := shared.ServiceAccountConfig(t.Context(), liveRelease, "default")
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(account)
	require.NoError(t, err)
	named := metav1.ListOptions{FieldSelector: "metadata.name=" + config.ConfigMapName}
	found, err := client.CoreV1().ConfigMaps("").List(t.Context(), named)
	require.NoError(t, err)
	require.NotEmpty(t, found.Items)
	_, err = client.CoreV1().ConfigMaps("live-rights").Get(t.Context(), config.ConfigMapName, metav1.GetOptions{})
	require.NoError(t, err)

	_, err = client.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	_, err = client.CoreV1().ConfigMaps("live-rights").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	_, err = client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	_, err = client.CoreV1().Secrets("live-rights").Get(t.Context(), config.ConfigMapName, metav1.GetOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
}
