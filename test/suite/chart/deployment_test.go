package chart

import (
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

func TestTwoReplicasThatNothingTakesAwayTogether(t *testing.T) {
	rendered := objects(t, values{})
	deployment := one[*appsv1.Deployment](t, rendered)
	require.EqualValues(t, 2, *deployment.Spec.Replicas)
	require.Equal(t, "0", deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.String())
	require.Equal(t, "1", one[*policyv1.PodDisruptionBudget](t, rendered).Spec.MaxUnavailable.String())
	require.Len(t, deployment.Spec.Template.Spec.TopologySpreadConstraints, 2)
	for _, constraint := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
		require.Equal(t, deployment.Spec.Selector, constraint.LabelSelector)
	}
	pod := deployment.Spec.Template.Spec
	require.Equal(t, "system-cluster-critical", pod.PriorityClassName)
	quota := one[*corev1.ResourceQuota](t, rendered)
	require.Equal(t, []string{"system-cluster-critical"}, quota.Spec.ScopeSelector.MatchExpressions[0].Values)

	container := pod.Containers[0]
	require.Equal(t, "128Mi", container.Resources.Limits.Memory().String())
	require.NotContains(t, container.Resources.Limits, corev1.ResourceCPU, "throttling shows as latency")
	for _, env := range container.Env {
		require.NotContains(t, []string{"GOMEMLIMIT", "GOGC"}, env.Name, "the program tunes itself")
	}
	require.EqualValues(t, 60, *pod.TerminationGracePeriodSeconds)
	require.EqualValues(t, 5, container.Lifecycle.PreStop.Sleep.Seconds)
	require.Contains(t, container.Args, "--drain-timeout=30s")
}

func TestPriorityClass(t *testing.T) {
	rendered := objects(t, parse(t, "priorityClassName: ''"))
	require.Empty(t, all[*corev1.ResourceQuota](rendered))
	require.Empty(t, one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.PriorityClassName)
	require.Empty(t, all[*corev1.ResourceQuota](objects(t, parse(t, "priorityClassName: mine"))), "GKE limits the system's classes only")
}

func TestHostNetwork(t *testing.T) {
	deployment := one[*appsv1.Deployment](t, objects(t, cases(t)["host-network"]))
	require.True(t, deployment.Spec.Template.Spec.HostNetwork)
	require.Equal(t, corev1.DNSClusterFirstWithHostNet, deployment.Spec.Template.Spec.DNSPolicy)
	require.Equal(t, "0", deployment.Spec.Strategy.RollingUpdate.MaxSurge.String(), "two nodes are enough for two replicas")
}

func TestImages(t *testing.T) {
	image := func(set values) string {
		return one[*appsv1.Deployment](t, objects(t, set)).Spec.Template.Spec.Containers[0].Image
	}
	require.Regexp(t, `^ghcr\.io/dagger-inject/dagger-inject:v`, image(values{}))
	require.Equal(t, "registry.example/mirror/dagger-inject:v9", image(cases(t)["everything"]))
	require.Regexp(t, `^ghcr\.io/dagger-inject/dagger-inject@sha256:0123456789abcdef`, image(cases(t)["without"]))
	require.Equal(t, "here:v1", image(parse(t, "image: {registry: '', repository: here, tag: v1}")))
}

// TestPodsAreRestricted asks Pod Security's own code, of every pod that the chart makes.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	for _, name := range []string{"default", "everything", "existing-secret"} {
		rendered := objects(t, cases(t)[name])
		for what, pod := range map[string]struct {
			meta metav1.ObjectMeta
			spec corev1.PodSpec
		}{
			"webhook": {one[*appsv1.Deployment](t, rendered).Spec.Template.ObjectMeta, one[*appsv1.Deployment](t, rendered).Spec.Template.Spec},
			"check":   {one[*batchv1.Job](t, rendered).Spec.Template.ObjectMeta, one[*batchv1.Job](t, rendered).Spec.Template.Spec},
			"test":    {one[*corev1.Pod](t, rendered).ObjectMeta, one[*corev1.Pod](t, rendered).Spec},
		} {
			for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.meta,
				&pod.spec) {
				require.True(t, result.Allowed, "%s: %s: %s: %s", name, what, result.ForbiddenReason, result.ForbiddenDetail)
			}
			require.True(t, *pod.spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem, "%s: %s", name, what)
		}
	}
}

func TestNetworkPolicyAdmitsWhatTheDeploymentServes(t *testing.T) {
	for _, name := range []string{"default", "everything"} {
		rendered := objects(t, cases(t)[name])
		networkPolicy := one[*networkingv1.NetworkPolicy](t, rendered)
		require.Len(t, networkPolicy.Spec.Ingress, 1)
		require.Empty(t, networkPolicy.Spec.Ingress[0].From, "from everywhere")
		require.Equal(t, []networkingv1.NetworkPolicyEgressRule{{}}, networkPolicy.Spec.Egress)
		var admitted, served []int32
		for _, port := range networkPolicy.Spec.Ingress[0].Ports {
			admitted = append(admitted, port.Port.IntVal)
		}
		for _, port := range one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.Containers[0].Ports {
			served = append(served, port.ContainerPort)
		}
		require.ElementsMatch(t, served, admitted, name)
	}
}

// TestTheProgramKnowsItsArguments builds it and asks it.
func TestTheProgramKnowsItsArguments(t *testing.T) {
	path, err := program.Build(t.Context(), t.TempDir())
	require.NoError(t, err)
	flag := regexp.MustCompile(`^(--[a-z-]+)(=.*)?$`)
	knows := func(args []string, commands int) {
		help, err := exec.CommandContext(t.Context(), path, append(append([]string{}, args[:commands]...), "--help")...).CombinedOutput()
		require.NoError(t, err)
		for _, arg := range args[commands:] {
			require.Contains(t, string(help), flag.FindStringSubmatch(arg)[1]+" ", arg)
		}
	}
	for _, name := range []string{"default", "everything"} {
		rendered := objects(t, cases(t)[name])
		knows(one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.Containers[0].Args, 1)
		check := one[*batchv1.Job](t, rendered).Spec.Template.Spec.Containers[0].Args
		knows(check, 2)
		require.Equal(t, check, one[*corev1.Pod](t, rendered).Spec.Containers[0].Args)
	}
}

func TestDrainEndsBeforeThePodDoes(t *testing.T) {
	deployment := one[*appsv1.Deployment](t, objects(t, cases(t)["everything"]))
	require.EqualValues(t, 90, *deployment.Spec.Template.Spec.TerminationGracePeriodSeconds)
	require.Contains(t, deployment.Spec.Template.Spec.Containers[0].Args,
		"--drain-timeout="+(90*time.Second-15*time.Second-25*time.Second).String())
}
