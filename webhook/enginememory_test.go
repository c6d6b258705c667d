package webhook

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// engineSets are as many engines as the official chart makes of releases side by side, each of a version and on a pool of its own.
func engineSets(n int) engineState {
	var workloads engine.Workloads
	for i := range n {
		name := fmt.Sprintf("dagger-v0-21-%d-dagger-helm-engine", i)
		template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsGroup: new(int64)},
			NodeSelector:    map[string]string{"example.com/pool": fmt.Sprint("ci-", i)},
			Tolerations:     []corev1.Toleration{{Key: "dagger-node", Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name: "dagger-engine", Image: fmt.Sprintf("registry.dagger.io/engine:v0.21.%d", i),
				VolumeMounts: []corev1.VolumeMount{{Name: "run", MountPath: "/run/dagger"}},
			}},
			Volumes: []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/run/" + name}}}},
		}}
		workloads.DaemonSets = append(workloads.DaemonSets, appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "dagger", Name: name}, Spec: appsv1.DaemonSetSpec{Template: template},
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 4, UpdatedNumberScheduled: 4, NumberReady: 4},
		})
	}
	return engineState{"dagger": {workloads: workloads}}
}

// teamPolicies are what teams write, by the field. The first changes nothing of what is compiled for each engine, the second where
// pods go, the third an init container.
var teamPolicies = map[string]string{
	"env":         "env: [{name: TEAM, value: %q}]\n",
	"tolerations": "scheduling: {tolerations: [{key: example.com/team, operator: Equal, value: %q, effect: NoSchedule}]}\n",
	"wait":        "wait: {timeout: 5m}\nenv: [{name: TEAM, value: %q}]\n",
}

// heldByPolicies returns how many bytes of memory the policies of so many namespaces keep, each.
func heldByPolicies(tb testing.TB, document string, namespaces, engines int) int64 {
	tb.Helper()
	const header = "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n"
	s := NewPolicyStore("release")
	set := func(namespace, text string) {
		s.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: config.ConfigMapName},
			Data: map[string]string{"policy.yaml": text}})
	}
	set("release", header+"wait: {image: registry.example.com/dagger-inject:v1}\n")
	s.SetEngines(engineSets(engines))
	before := liveHeap()
	for i := range namespaces {
		set(fmt.Sprint("team-", i), header+fmt.Sprintf(document, fmt.Sprint("team-", i)))
	}
	held := (liveHeap() - before) / int64(namespaces)
	for i := range namespaces {
		require.NoError(tb, s.Policies(fmt.Sprint("team-", i)).Err())
	}
	require.Len(tb, s.engines["dagger"].workloads.DaemonSets, engines)
	return held
}

// liveHeap is what is still reachable.
func liveHeap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools let go
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkMemoryOfPolicies measures, in the same run, what a namespace's policy keeps in memory with one engine in the cluster and
// with as many as are considered.
func BenchmarkMemoryOfPolicies(b *testing.B) {
	const namespaces = 1000
	for name, document := range teamPolicies {
		b.Run(name, func(b *testing.B) {
			var one, all int64
			for b.Loop() {
				one, all = heldByPolicies(b, document, namespaces, 1), heldByPolicies(b, document, namespaces, engine.MostEngines)
			}
			b.ReportMetric(float64(one), "B/policy-1-engine")
			b.ReportMetric(float64(all), fmt.Sprintf("B/policy-%d-engines", engine.MostEngines))
			b.ReportMetric(float64(all)/float64(one), "x-one")
		})
	}
}
