package kubelet

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

const (
	patience = time.Minute
	every    = 10 * time.Millisecond
)

func TestAPodRunsAsAProcessUntilItIsDeleted(t *testing.T) {
	k, client := start(t)
	pods := client.CoreV1().Pods("ci")
	_, err := pods.Create(t.Context(), shellPod("echo hello $(WHO); exec sleep 600"), metav1.CreateOptions{})
	require.NoError(t, err)
	waitFor(t, client, func(c *assert.CollectT, pod *corev1.Pod) {
		require.Equal(c, corev1.PodRunning, pod.Status.Phase)
		require.True(c, pod.Status.ContainerStatuses[0].Ready)
		require.Equal(c, "127.0.0.1", pod.Status.HostIP)
	})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		text, err := k.Logs("ci", "shell")
		require.NoError(c, err)
		require.Equal(c, "hello shell\n", text)
	}, patience, every)

	require.NoError(t, k.Signal("ci", "shell", syscall.SIGKILL))
	waitFor(t, client, func(c *assert.CollectT, pod *corev1.Pod) {
		status := pod.Status.ContainerStatuses[0]
		require.Equal(c, int32(1), status.RestartCount)
		require.Equal(c, int32(137), status.LastTerminationState.Terminated.ExitCode)
		require.True(c, status.Ready)
	})

	pod, err := pods.Get(t.Context(), "shell", metav1.GetOptions{})
	require.NoError(t, err)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = ptr.To(metav1.Now()), ptr.To[int64](30)
	_, err = pods.Update(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := pods.Get(t.Context(), "shell", metav1.GetOptions{})
		require.True(c, apierrors.IsNotFound(err), "%v", err)
	}, patience, every)
}

func TestAPodThatIsNotRestartedEndsWithItsProcess(t *testing.T) {
	_, client := start(t)
	pod := shellPod("exit 3")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := client.CoreV1().Pods("ci").Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	waitFor(t, client, func(c *assert.CollectT, pod *corev1.Pod) {
		require.Equal(c, corev1.PodFailed, pod.Status.Phase)
		require.Equal(c, int32(3), pod.Status.ContainerStatuses[0].State.Terminated.ExitCode)
	})
}

func TestPodsOfOtherImagesStayPending(t *testing.T) {
	k, client := start(t)
	pod := shellPod("exit 0")
	pod.Spec.Containers[0].Image = "docker.io/library/busybox:1"
	require.False(t, k.runs(pod))
	_, err := client.CoreV1().Pods("ci").Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = k.PID("ci", "shell")
	require.ErrorContains(t, err, "no process runs for the pod ci/shell")
}

func TestReferencesToVariablesAreExpanded(t *testing.T) {
	values := map[string]string{"A": "1"}
	for text, want := range map[string]string{"$(A)": "1", "$$(A)": "$(A)", "$(B)": "$(B)", "a$(A)$(A)": "a11", "$A": "$A"} {
		require.Equal(t, want, expand(text, values), text)
	}
}

func TestFilesOfAVolumeAreReplacedAtOnce(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "volume")
	for _, content := range []string{"one", "two"} {
		require.NoError(t, writeAtomically(folder, map[string][]byte{"key": []byte(content)}))
		read, err := os.ReadFile(filepath.Join(folder, "key"))
		require.NoError(t, err)
		require.Equal(t, content, string(read))
	}
	versions, err := filepath.Glob(filepath.Join(folder, "..2*"))
	require.NoError(t, err)
	require.Len(t, versions, 1, "the version before is removed")
}

// start starts a kubelet of one node, on an API of a fake client.
func start(t *testing.T) (*Kubelet, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset()
	client.PrependReactor("create", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: "token"}}, nil
	})
	ports, err := program.FreePorts(1)
	require.NoError(t, err)
	k, err := Start(t.Context(), Options{
		Client: client, Config: &rest.Config{}, Folder: t.TempDir(), Output: t.Output(),
		Kubeconfig: func(config *rest.Config) (string, error) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			return path, os.WriteFile(path, []byte(config.BearerToken), 0o600)
		},
		Launcher: func(_, binary string) (string, error) { return binary, nil },
		Image:    "test/shell", Binary: "/bin/sh",
		Nodes: []Node{{Name: "node-1", Zone: "zone-1", IP: "127.0.0.1"}}, Port: int32(ports[0]),
		NewPodIP: func() string { return "10.65.1.1" },
	})
	require.NoError(t, err)
	t.Cleanup(func() { waitUntilEnded(t, k) })
	return k, client
}

// waitUntilEnded waits for the pods' processes, which end with the test's context.
func waitUntilEnded(t *testing.T, k *Kubelet) {
	t.Helper()
	require.Eventually(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.pods) == 0
	}, patience, every)
}

// shellPod returns a pod that runs a script, and is bound to the node.
func shellPod(script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "shell", UID: "0a1b2c3d-0000"},
		Spec: corev1.PodSpec{
			NodeName: "node-1", ServiceAccountName: "default", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{
				Name: "shell", Image: "test/shell:dev", Args: []string{"-c", script},
				Env: []corev1.EnvVar{{
					Name: "WHO", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}},
				}},
			}},
		},
	}
}

// waitFor waits until the pod is as a condition wants it.
func waitFor(t *testing.T, client *fake.Clientset, condition func(*assert.CollectT, *corev1.Pod)) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pod, err := client.CoreV1().Pods("ci").Get(context.Background(), "shell", metav1.GetOptions{})
		require.NoError(c, err)
		condition(c, pod)
	}, patience, every)
}
