package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/testmain"
)

// shared is what all tests use that do not start or stop one themselves.
var shared *ControlPlane

const auditEverything = `
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
`

func TestMain(m *testing.M) {
	if os.Getenv(crashing) != "" {
		crash()
	}
	os.Exit(testmain.Run(m, func(ctx context.Context) (stop func() error, err error) {
		if shared, err = Start(ctx, Options{Output: os.Stderr, AuditPolicy: auditEverything}); err != nil {
			return nil, err
		}
		return shared.Stop, nil
	}))
}

func TestServerVersion(t *testing.T) {
	c, err := discovery.NewDiscoveryClientForConfig(shared.Config())
	require.NoError(t, err)
	version, err := c.ServerVersion()
	require.NoError(t, err)
	require.Regexp(t, `^v1\.36\.`, version.GitVersion)
}

func TestUsersMayDoWhatTheyAreGranted(t *testing.T) {
	nobody, err := shared.UserConfig("nobody")
	require.NoError(t, err)
	err = clientFor(t, nobody).List(t.Context(), &corev1.PodList{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)

	master, err := shared.UserConfig("somebody", "system:masters")
	require.NoError(t, err)
	require.NoError(t, clientFor(t, master).List(t.Context(), &corev1.PodList{}))
}

func TestServiceAccounts(t *testing.T) {
	namespace := newNamespace(t, nil)
	require.NoError(t, shared.CreateServiceAccounts(t.Context(), namespace, "default", "runner"))
	config, err := shared.ServiceAccountConfig(t.Context(), namespace, "runner")
	require.NoError(t, err)

	path, err := shared.Kubeconfig(config)
	require.NoError(t, err)
	loaded, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	for _, config := range []*rest.Config{config, loaded} {
		err = clientFor(t, config).List(t.Context(), &corev1.PodList{})
		require.True(t, apierrors.IsForbidden(err), "%v", err)
		require.ErrorContains(t, err, "system:serviceaccount:"+namespace+":runner")
	}

	_, err = shared.ServiceAccountConfig(t.Context(), namespace, "nobody")
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

func TestKubeconfigOfTheAdministrator(t *testing.T) {
	path, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	loaded, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	require.NoError(t, clientFor(t, loaded).List(t.Context(), &corev1.PodList{}))
}

func TestPodsNeedTheirServiceAccount(t *testing.T) {
	bare := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bare-"}}
	require.NoError(t, shared.Client().Create(t.Context(), bare))
	err := shared.Client().Create(t.Context(), pod(bare.Name))
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, `serviceaccount "default" not found`)

	accepted := pod(newNamespace(t, nil))
	require.NoError(t, shared.Client().Create(t.Context(), accepted))
	require.Equal(t, "default", accepted.Spec.ServiceAccountName)
	require.Len(t, accepted.Spec.Volumes, 1, "the service account's token")
	privileged := pod(accepted.Namespace)
	privileged.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	require.NoError(t, shared.Client().Create(t.Context(), privileged))
	require.NoError(t, shared.Client().Create(t.Context(), pod("default")))
}

func TestPodSecurity(t *testing.T) {
	const label = "pod-security.kubernetes.io/enforce"
	hostPath := func(namespace string) *corev1.Pod {
		p := pod(namespace)
		source := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/dagger"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "engine", VolumeSource: source}}
		return p
	}
	require.NoError(t, shared.Client().Create(t.Context(), hostPath(newNamespace(t, nil))))
	err := shared.Client().Create(t.Context(), hostPath(newNamespace(t, map[string]string{label: "restricted"})))
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, `violates PodSecurity "restricted:latest"`)
	require.ErrorContains(t, err, "hostPath")
}

func TestLimitRange(t *testing.T) {
	namespace := newNamespace(t, nil)
	cpu := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	require.NoError(t, shared.Client().Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "limits"},
		Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: cpu}}},
	}))
	created := pod(namespace)
	require.NoError(t, shared.Client().Create(t.Context(), created))
	require.Equal(t, "100m", created.Spec.Containers[0].Resources.Limits.Cpu().String())
}

func TestQuota(t *testing.T) {
	sized := func(namespace, cpu string) *corev1.Pod {
		p := pod(namespace)
		list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")}
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list, Limits: list}
		return p
	}
	namespace := newNamespace(t, nil)
	require.NoError(t, shared.CreateQuota(t.Context(), namespace, corev1.ResourceList{
		corev1.ResourceLimitsCPU:    resource.MustParse("1"),
		corev1.ResourceLimitsMemory: resource.MustParse("1Gi"),
	}))
	err := shared.Client().Create(t.Context(), pod(namespace))
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, "must specify limits.cpu")

	require.NoError(t, shared.Client().Create(t.Context(), sized(namespace, "600m")))
	err = shared.Client().Create(t.Context(), sized(namespace, "600m"))
	require.ErrorContains(t, err, "exceeded quota: "+Quota)
}

func TestQuotasCountAtOnce(t *testing.T) {
	for range rounds {
		namespace := newNamespace(t, nil)
		// A pod before the quota: the API server now remembers for 30 seconds that there is none.
		require.NoError(t, shared.Client().Create(t.Context(), pod(namespace)))
		require.NoError(t, shared.CreateQuota(t.Context(), namespace, corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}))
		require.ErrorContains(t, shared.Client().Create(t.Context(), pod(namespace)), "exceeded quota: "+Quota)
	}
}

func TestAuditLog(t *testing.T) {
	namespace := newNamespace(t, nil)
	log, err := os.ReadFile(shared.AuditLog())
	require.NoError(t, err)
	require.Contains(t, string(log), fmt.Sprintf(`"requestURI":"/api/v1/namespaces/%s/serviceaccounts"`, namespace))
}

func TestExtraArgsAndServerLogs(t *testing.T) {
	var logs bytes.Buffer
	cp, err := Start(t.Context(), Options{ServerLogs: &logs, ExtraArgs: map[string][]string{
		"disable-admission-plugins": {"ServiceAccount"},
		"allow-privileged":          {},
	}})
	require.NoError(t, err)
	require.NoError(t, cp.Client().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}))
	require.NoError(t, cp.Client().Create(t.Context(), pod("bare")))
	privileged := pod("bare")
	privileged.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	require.ErrorContains(t, cp.Client().Create(t.Context(), privileged), "disallowed by cluster policy")
	require.NoError(t, cp.Stop())
	require.Contains(t, logs.String(), "Serving securely")
}

func TestAFailureShowsWhatTheServerSaid(t *testing.T) {
	_, err := Start(t.Context(), Options{ExtraArgs: map[string][]string{"no-such-flag": {"x"}}})
	require.ErrorContains(t, err, "unknown flag: --no-such-flag")
}

// newNamespace creates a namespace named after the test.
func newNamespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	name := strings.ToLower(t.Name()) + "-" + fmt.Sprint(time.Now().UnixNano())
	require.NoError(t, shared.CreateNamespace(t.Context(), name, labels, nil))
	return name
}

// pod returns a pod of one container that Pod Security's baseline allows.
func pod(namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "pod-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main:1"}}},
	}
}

func clientFor(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	require.NoError(t, err)
	return c
}
