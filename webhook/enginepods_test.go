package webhook

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

var chartsEngine = engine.Workload{Kind: "DaemonSet", Namespace: "dagger", Name: "dagger-dagger-helm-engine"}

// enginePod is one as an API server sends it.
func enginePod(i int, ready corev1.ConditionStatus, since time.Time) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "dagger", Name: fmt.Sprintf("dagger-dagger-helm-engine-%05d", i), CreationTimestamp: metav1.NewTime(since),
			Labels:          map[string]string{"name": chartsEngine.Name, "controller-revision-hash": "7d9f8b6c5"},
			OwnerReferences: []metav1.OwnerReference{{Kind: chartsEngine.Kind, Name: chartsEngine.Name, UID: types.UID("u"), Controller: &yes}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		},
		Spec: corev1.PodSpec{
			NodeName:   fmt.Sprintf("ip-10-%d-%d-%d.eu-west-1.compute.internal", i>>16, i>>8&255, i&255),
			Containers: []corev1.Container{{Name: "dagger-engine", Image: "registry.dagger.io/engine:v0.21.8"}},
		},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(since)},
		}},
	}
}

// feed returns enginePods with one namespace, fed by the test.
func feedOf(now func() time.Time) (*enginePods, *podFeed) {
	p := newEnginePods(nil, nil)
	p.now = now
	f := &podFeed{changed: p.touch, stop: func() {}, pods: map[types.NamespacedName]engine.Pod{}}
	p.watched["dagger"] = f
	return p, f
}

// TestASetLastsUntilAPodsGraceEnds goes through what becomes of engines, on a clock of its own.
func TestASetLastsUntilAPodsGraceEnds(t *testing.T) {
	now := time.Unix(1_770_000_000, 0)
	p, f := feedOf(func() time.Time { return now })
	trimmed := func(pod *corev1.Pod) *corev1.Pod {
		object, err := f.Transformer()(pod)
		require.NoError(t, err)
		return object.(*corev1.Pod)
	}
	nodes := func() int { p.update(); return p.get()[chartsEngine].Nodes.Len() }
	require.NoError(t, f.Replace([]any{trimmed(enginePod(1, "True", now)), trimmed(enginePod(2, "True", now)),
		trimmed(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.PodSpec{NodeName: "n"}})}, ""))
	require.Equal(t, 2, nodes())
	require.InDelta(t, 2, p.nodes(), 0)
	set := p.get()[chartsEngine].Nodes
	require.Equal(t, 2, nodes())
	require.Same(t, set, p.get()[chartsEngine].Nodes, "what did not change is kept, with what it remembers")

	require.NoError(t, f.Update(trimmed(enginePod(2, "False", now))))
	require.Equal(t, now.Add(time.Minute), p.update())
	require.Equal(t, 2, nodes())
	now = now.Add(time.Minute)
	require.Equal(t, 1, nodes())
	require.True(t, p.update().IsZero(), "nothing changes by itself any more")
	require.NoError(t, f.Update(trimmed(enginePod(2, "True", now))))
	require.Equal(t, 2, nodes())
	require.NoError(t, f.Delete(enginePod(1, "True", now)))
	require.NoError(t, f.Delete(enginePod(7, "True", now)), "one that is not known")
	require.Equal(t, 1, nodes())
	p.want(nil)
	require.Zero(t, nodes())
}

// TestChangesThatNothingDependsOnMakeNoSet has what engines' pods do all the time.
func TestChangesThatNothingDependsOnMakeNoSet(t *testing.T) {
	p, f := feedOf(time.Now)
	require.NoError(t, f.Add(enginePod(1, "True", time.Now())))
	<-p.dirty
	changed := enginePod(1, "True", time.Now())
	changed.ResourceVersion, changed.Status.PodIP = "2", "10.0.0.1"
	require.NoError(t, f.Update(changed))
	require.NoError(t, f.Update(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}}))
	require.Empty(t, p.dirty)
}

// TestMemoryOf5000EnginesIsBounded measures the feed, the sets and a full memory of keys together.
func TestMemoryOf5000EnginesIsBounded(t *testing.T) {
	const engines = 5000
	before := liveHeap()
	p, f := feedOf(time.Now)
	for i := range engines {
		pod := enginePod(i, "True", time.Now())
		engine.TrimPod(pod)
		require.NoError(t, f.Add(pod))
	}
	p.update()
	set := p.get()[chartsEngine].Nodes
	require.Equal(t, engines, set.Len())
	held := liveHeap() - before
	t.Logf("%d engines keep %.2f MiB", engines, float64(held)/(1<<20))
	require.Less(t, held, int64(2<<20))
	for i := range 2000 {
		set.First(fmt.Sprint("namespace\x00gitlab:", i), 16)
	}
	held = liveHeap() - before
	t.Logf("with remembered keys %.2f MiB", float64(held)/(1<<20))
	require.Less(t, held, int64(3<<20))
	require.Len(t, f.pods, engines)
}

// BenchmarkReadyOf5000Engines is what one change of a large fleet costs.
func BenchmarkReadyOf5000Engines(b *testing.B) {
	p, f := feedOf(time.Now)
	for i := range 5000 {
		_ = f.Add(enginePod(i, "True", time.Now()))
	}
	for b.Loop() {
		p.update()
	}
}
