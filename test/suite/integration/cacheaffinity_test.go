package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	cacheRelease = "cache-release"
	cacheEngines = "cache-engines"
	cachePolicy  = policyHeader + "engine: {discover: {namespace: " + cacheEngines + "}}\n"
)

// TestJobsPreferTheNodesOfTheirProject has the program read which engines are ready, with a Role in their namespace and no more.
func TestJobsPreferTheNodesOfTheirProject(t *testing.T) {
	t.Parallel()
	l, err := newLive(t, cacheRelease, "cache")
	if l != nil && l.Process != nil {
		defer func() {
			if err := l.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	require.NoError(t, err)
	require.NoError(t, shared.CreateNamespace(t.Context(), cacheEngines, nil, nil))
	require.NoError(t, shared.CreateNamespace(t.Context(), "cache-jobs", map[string]string{liveLabel: "cache"}, nil))
	require.NoError(t, shared.CreateServiceAccounts(t.Context(), cacheEngines, "default"))
	install(t, cacheEngines, "v0.21.8-default")
	for i := range 5 {
		startEngine(t, i)
	}

	// The policy turns it on before anybody may read pods: jobs are injected nevertheless.
	grantInCacheEngines(t, "workloads", engineRules...)
	put(t, policyMap(cacheRelease, cachePolicy+"scheduling: {cacheAffinity: {enabled: true}}\n"))
	requireSoon(t, func() bool { return tryJob(t, 42).code == http.StatusCreated && host(tryJob(t, 42)) == socketHost })
	require.Empty(t, preferredNodes(tryJob(t, 42)))
	require.Contains(t, scrape(t, l), `dagger_inject_cache_affinity_total{result="few_nodes"}`)

	grantInCacheEngines(t, "pods",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch"}})
	requireSoon(t, func() bool { return len(preferredNodes(tryJob(t, 42))) == 5 })
	first := preferredNodes(tryJob(t, 42))
	require.Equal(t, first, preferredNodes(tryJob(t, 42)))
	require.NotEqual(t, first, preferredNodes(tryJob(t, 43)), "another project has another order")
	require.Contains(t, scrape(t, l), "dagger_inject_cache_affinity_nodes 5")

	// An engine that has not been ready for long is left out, and the others keep their order.
	setReady(t, first[0], corev1.ConditionFalse, time.Hour)
	requireSoon(t, func() bool { return len(preferredNodes(tryJob(t, 42))) == 4 })
	require.Equal(t, first[1:], preferredNodes(tryJob(t, 42)))
	// One that restarts is not.
	setReady(t, first[1], corev1.ConditionFalse, 0)
	setReady(t, first[0], corev1.ConditionTrue, 0)
	requireSoon(t, func() bool { return len(preferredNodes(tryJob(t, 42))) == 5 })
	require.Equal(t, first, preferredNodes(tryJob(t, 42)))

	// Nothing is read any more once the policy does not ask for it.
	put(t, policyMap(cacheRelease, cachePolicy))
	requireSoon(t, func() bool { return len(preferredNodes(tryJob(t, 42))) == 0 })
	requireSoon(t, func() bool { return strings.Contains(scrape(t, l), "dagger_inject_cache_affinity_nodes 0") })
}

func scrape(t *testing.T, l *live) string {
	t.Helper()
	return get(t, l.metrics)
}

// tryJob creates a pod of GitLab Runner's as a dry run.
func tryJob(t *testing.T, project int) creation {
	t.Helper()
	pod := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"job","labels":{"dagger.io/inject":"true",`+
		`"project.runner.gitlab.com/id":"%d"},"annotations":{"job.runner.gitlab.com/id":"1"}},`+
		`"spec":{"containers":[{"name":"build","image":"i"}]}}`, project)
	return create(t, "cache-jobs", []byte(pod), "?dryRun=All")
}

// preferredNodes returns the nodes that a pod prefers by their names, in their order.
func preferredNodes(c creation) []string {
	var nodes []string
	if a := c.pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		for _, term := range a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			nodes = append(nodes, term.Preference.MatchFields[0].Values...)
		}
	}
	return nodes
}

// startEngine creates the pod that the DaemonSet's controller, the scheduler and a kubelet would, on a node of its own.
func startEngine(t *testing.T, i int) {
	t.Helper()
	var daemonSet appsv1.DaemonSet
	name := client.ObjectKey{Namespace: cacheEngines, Name: "dagger-dagger-helm-engine"}
	require.NoError(t, shared.Client().Get(t.Context(), name, &daemonSet))
	node := fmt.Sprint("cache-node-", i)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: cacheEngines, Name: node, Labels: daemonSet.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&daemonSet, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))}},
		Spec: *daemonSet.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = node
	require.NoError(t, shared.Client().Create(t.Context(), pod))
	setReady(t, node, corev1.ConditionTrue, 0)
}

func setReady(t *testing.T, name string, status corev1.ConditionStatus, since time.Duration) {
	t.Helper()
	var pod corev1.Pod
	require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: cacheEngines, Name: name}, &pod))
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status,
		LastTransitionTime: metav1.NewTime(time.Now().Add(-since))}}
	require.NoError(t, shared.Client().Status().Update(t.Context(), &pod))
}

func grantInCacheEngines(t *testing.T, name string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: cacheEngines, Name: name}, Rules: rules}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: cacheRelease, Name: "default"}},
	}
	require.NoError(t, shared.Client().Create(t.Context(), role))
	require.NoError(t, shared.Client().Create(t.Context(), binding))
}
