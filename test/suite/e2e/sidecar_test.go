package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestAJobHasAnEngineOfItsOwn has no engine in the cluster: the one that answers is the pod's, and ends with the job.
func TestAJobHasAnEngineOfItsOwn(t *testing.T) {
	needsOurNode(t, "the profile with the sidecar is in its policy")
	for _, test := range []struct {
		name   string
		change func(*corev1.Pod)
		want   atHost
	}{
		{name: "as root", want: atHost{0, "unix:///run/dagger/engine.sock"}},
		{name: "as ARC's own user", change: as(1001), want: atHost{1001, "unix:///run/dagger/engine.sock"}},
		{name: "as another user, by the added group", change: as(1000), want: atHost{1000, "unix:///run/dagger/engine.sock"}},
		{name: "a container that mounts /run", change: mountAt("/run"), want: atHost{0, "unix:///"}},
	} {
		for system := range systems {
			t.Run(test.name+" "+system, func(t *testing.T) {
				t.Parallel()
				pod := jobPod(t, system, newNamespace(t, nil, ""), askEngine)
				pod.Annotations["dagger.io/policy"] = "forks"
				if test.change != nil {
					test.change(pod)
				}
				output := runJob(t, pod, system)
				requireAnswer(t, output, pod.Name, "v0.21.8")
				test.want.require(t, output)
				if len(pod.Spec.Containers) > 1 {
					return // what stands in for the helper and for services does not end by itself
				}
				eventually(t, "the pod ends with its job", func(ctx context.Context) error {
					if err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
						return err
					}
					if pod.Status.Phase != corev1.PodSucceeded {
						return errors.New(describe([]corev1.Pod{*pod}))
					}
					return nil
				})
			})
		}
	}
}

func TestARestrictedNamespaceHasNoEnginesOfItsPods(t *testing.T) {
	needsOurNode(t, "the profile with the sidecar is in its policy")
	pod := jobPod(t, "ARC", newNamespace(t, restricted, ""), askEngine)
	pod.Annotations["dagger.io/policy"] = "forks"
	err := cluster.Create(t.Context(), pod)
	require.ErrorContains(t, err, "privileged containers are forbidden by the namespace's label")
}
