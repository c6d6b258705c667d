package localcluster

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestAKilledReplicaIsStartedAgainInItsPod(t *testing.T) {
	install(t)
	replicas, err := shared.Replicas(t.Context())
	require.NoError(t, err)
	require.NoError(t, shared.Kubelet.Signal(ReleaseNamespace, replicas[0].Name, syscall.SIGKILL))
	require.EventuallyWithT(t, func(c *assertT) {
		var pod corev1.Pod
		require.NoError(c, shared.Client().Get(t.Context(), client.ObjectKeyFromObject(&replicas[0]), &pod))
		status := pod.Status.ContainerStatuses[0]
		require.Equal(c, int32(1), status.RestartCount)
		require.True(c, status.Ready)
		require.NotNil(c, status.LastTerminationState.Terminated)
		require.Equal(c, int32(137), status.LastTerminationState.Terminated.ExitCode)
	}, patience, 50*time.Millisecond)
}

func TestLogsOfAPodComeByTheAPI(t *testing.T) {
	install(t)
	replicas, err := shared.Replicas(t.Context())
	require.NoError(t, err)
	clientset, err := kubernetes.NewForConfig(shared.Config())
	require.NoError(t, err)
	text, err := clientset.CoreV1().Pods(ReleaseNamespace).GetLogs(replicas[0].Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	require.NoError(t, err)
	require.Contains(t, string(text), "Serving webhook server")
}
