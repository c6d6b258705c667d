package localcluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestRenewalsFailNoPodAndRestartNothing(t *testing.T) {
	install(t)
	before, err := shared.CABundle(t.Context())
	require.NoError(t, err)
	served := servedCertificates(t)

	stop := createPods(t)
	renewed := func(name string) {
		t.Helper()
		require.NoError(t, shared.Renew(t.Context(), ReleaseNamespace, name))
		previous := served
		require.EventuallyWithT(t, func(c *assertT) {
			served = servedCertificates(t)
			for pod, serial := range served {
				require.NotEqual(c, previous[pod], serial, "the certificate that %s serves", pod)
			}
		}, patience, 50*time.Millisecond)
	}
	renewed("dagger-inject")

	require.NoError(t, shared.Renew(t.Context(), ReleaseNamespace, "dagger-inject-ca"))
	require.EventuallyWithT(t, func(c *assertT) {
		after, err := shared.CABundle(t.Context())
		require.NoError(c, err)
		require.NotEqual(c, before, after)
		require.Contains(c, after, before, "the old CA is trusted as long as certificates that it signed are served")
	}, patience, 50*time.Millisecond)
	// A CA's renewal does not reissue what it signed.
	renewed("dagger-inject")

	created, missed, failed := stop()
	t.Logf("%d pods were created meanwhile", created)
	require.NoError(t, failed)
	require.Zero(t, missed)
	require.Greater(t, created, 100)
	replicas, err := shared.Replicas(t.Context())
	require.NoError(t, err)
	require.Len(t, replicas, 2)
	for _, pod := range replicas {
		require.Zero(t, pod.Status.ContainerStatuses[0].RestartCount)
		require.Contains(t, served, pod.Name, "the same pods as before")
	}
}

// servedCertificates returns the serial number of the certificate that each replica serves.
func servedCertificates(t *testing.T) map[string]string {
	t.Helper()
	replicas, err := shared.Replicas(t.Context())
	require.NoError(t, err)
	serials := map[string]string{}
	for _, pod := range replicas {
		// Only the certificate is looked at.
		connection, err := tls.Dial("tcp", shared.WebhookAddress(&pod), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		require.NoError(t, err)
		serials[pod.Name] = connection.ConnectionState().PeerCertificates[0].SerialNumber.String()
		require.NoError(t, connection.Close())
	}
	return serials
}

// createPods creates pods, as dry runs, on both entries until the function returned is called. That tells how many,
// how many were not injected, and what failed.
func createPods(t *testing.T) (stop func() (created, missed int, failed error)) {
	t.Helper()
	labelled, namespaced := newNamespace(t, nil), newNamespace(t, optedIn)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var created, missed atomic.Int64
	failures := make([]error, 4)
	for i := range failures {
		group.Go(func() {
			for ctx.Err() == nil {
				var pod *corev1.Pod
				if i%2 == 0 {
					pod = RunnerPod(labelled, true)
				} else {
					pod = RunnerPod(namespaced, false)
				}
				// Not ctx: a request that it cut short would count as a failure.
				if err := shared.Client().Create(t.Context(), pod, client.DryRunAll); err != nil {
					failures[i] = errors.Join(failures[i], fmt.Errorf("pod %d: %w", created.Load(), err))
				} else if !isInjected(pod) {
					missed.Add(1)
				}
				created.Add(1)
			}
		})
	}
	return func() (int, int, error) {
		cancel()
		group.Wait()
		return int(created.Load()), int(missed.Load()), errors.Join(failures...)
	}
}
