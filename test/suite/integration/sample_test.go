package integration

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// guidePolicy says in one place what the guide's RunnerDeployment says by hand.
const guidePolicy = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {socket: {hostPath: /run/dagger}}
cli: {delivery: none}   # the guide brings no CLI
scheduling:
  tolerations: [{key: dagger-node, operator: Exists, effect: NoSchedule}]
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: dagger-node, operator: In, values: ["true"]}]}]
`

// TestTheGuidesSample takes the Dagger lines out of the guide's hand-written pod, has it injected, and compares what the
// API server stores with the pod as it was written.
func TestTheGuidesSample(t *testing.T) {
	cases := fixtures.All(t)
	at := slices.IndexFunc(cases, func(c fixtures.Case) bool { return c.Name == "arc-legacy-dind-in-runner-daggersample" })
	require.NotEqual(t, -1, at)
	var written corev1.Pod
	require.NoError(t, json.Unmarshal(cases[at].Pod(t), &written))
	written.Namespace = "guide"
	require.NoError(t, shared.CreateNamespace(t.Context(), "guide", nil, nil))
	policies := inject.NewPolicies(config.FromFile("guide", []byte(guidePolicy), config.OriginCluster), nil, nil)
	require.NoError(t, policies.Err())
	shared.setPolicies("guide", func() *inject.Policies { return policies })

	stripped := written.DeepCopy()
	stripped.Name += "-stripped"
	stripped.Spec.Affinity, stripped.Spec.Tolerations = nil, nil
	runner := &stripped.Spec.Containers[0]
	runner.Env = slices.DeleteFunc(runner.Env, func(e corev1.EnvVar) bool { return e.Name == inject.EnvRunnerHost })
	isSocket := func(name string) bool { return name == "dagger-socket" }
	runner.VolumeMounts = slices.DeleteFunc(runner.VolumeMounts, func(m corev1.VolumeMount) bool { return isSocket(m.Name) })
	stripped.Spec.Volumes = slices.DeleteFunc(stripped.Spec.Volumes, func(v corev1.Volume) bool { return isSocket(v.Name) })
	written.Labels[inject.LabelInject] = "false" // stored as it is written

	hand := create(t, "guide", asJSON(t, &written), "")
	require.Equal(t, http.StatusCreated, hand.code, hand.status.Message)
	ours := create(t, "guide", asJSON(t, stripped), "")
	require.Equal(t, http.StatusCreated, ours.code, ours.status.Message)
	require.JSONEq(t, essence(t, &hand.pod), essence(t, &ours.pod))
}

// essence takes out of a stored pod in what a hand-written and an injected one may differ: the volumes' names, that our
// mount is read-only, the added group that lets any user connect, and the order of lists that have none.
func essence(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	spec := *pod.Spec.DeepCopy()
	for i := range spec.Volumes {
		if host := spec.Volumes[i].HostPath; host != nil {
			spec.Volumes[i].Name = "socket"
		}
	}
	runner := &spec.Containers[0]
	for i := range runner.VolumeMounts {
		if m := &runner.VolumeMounts[i]; m.MountPath == "/run/dagger" {
			m.Name, m.ReadOnly = "socket", false
		}
	}
	slices.SortFunc(runner.Env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	sortByJSON(t, spec.Volumes)
	sortByJSON(t, spec.Tolerations)
	sortByJSON(t, runner.VolumeMounts)
	require.Subset(t, []int64{1001}, spec.SecurityContext.SupplementalGroups)
	spec.SecurityContext.SupplementalGroups = nil
	return tokenName.ReplaceAllString(string(asJSON(t, spec)), "token")
}
