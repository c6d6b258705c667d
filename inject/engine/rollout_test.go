package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestHowReadyARolloutIs(t *testing.T) {
	cases := map[string]struct {
		wanted, ready, updated int32
		generation, observed   int64
		want                   Readiness
	}{
		"not seen yet":                   {0, 0, 0, 1, 0, NoneReady},
		"no node for it":                 {0, 0, 0, 1, 1, NoneReady},
		"none ready":                     {3, 0, 3, 1, 1, NoneReady},
		"one of three":                   {3, 1, 3, 1, 1, SomeReady},
		"half":                           {4, 2, 4, 1, 1, HalfReady},
		"less than half":                 {5, 2, 5, 1, 1, SomeReady},
		"all":                            {3, 3, 3, 1, 1, HalfReady},
		"ready pods of an older one":     {3, 3, 0, 2, 2, NoneReady},
		"one is replaced":                {3, 3, 1, 2, 2, SomeReady},
		"a status of an older template":  {3, 3, 3, 2, 1, NoneReady},
		"scaled down, not all gone":      {0, 1, 1, 2, 2, HalfReady},
		"as many as there can be at all": {1<<31 - 1, 1 << 30, 1<<31 - 1, 1, 1, HalfReady},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{
				DesiredNumberScheduled: c.wanted, NumberReady: c.ready, UpdatedNumberScheduled: c.updated, ObservedGeneration: c.observed,
			}}
			d.Generation = c.generation
			s := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: &c.wanted}, Status: appsv1.StatefulSetStatus{
				Replicas: c.wanted, ReadyReplicas: c.ready, UpdatedReplicas: c.updated, ObservedGeneration: c.observed,
			}}
			s.Generation = c.generation
			o := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &c.wanted}, Status: appsv1.DeploymentStatus{
				ReadyReplicas: c.ready, UpdatedReplicas: c.updated, ObservedGeneration: c.observed,
			}}
			o.Generation = c.generation
			engine := []corev1.Container{{Name: containerName}}
			d.Spec.Template.Spec.Containers, s.Spec.Template.Spec.Containers, o.Spec.Template.Spec.Containers = engine, engine, engine
			judged := func() []Readiness {
				return []Readiness{daemonSetRollout(d).Readiness(), statefulSetRollout(s).Readiness(), deploymentRollout(o).Readiness()}
			}
			want := []Readiness{c.want, c.want, c.want}
			require.Equal(t, want, judged())
			for range 2 {
				Trim(d)
				Trim(s)
				Trim(o)
				require.Equal(t, want, judged(), "what is trimmed, be it twice, says the same")
			}
		})
	}
}

func TestAStatusThatSaysNothingNewIsTrimmedToTheSame(t *testing.T) {
	of := func(status appsv1.DaemonSetStatus) *appsv1.DaemonSet {
		d := &appsv1.DaemonSet{Status: status}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: containerName}}
		Trim(d)
		return d
	}
	ready := of(appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, NumberReady: 2, UpdatedNumberScheduled: 3})
	for _, same := range []appsv1.DaemonSetStatus{
		{DesiredNumberScheduled: 3, NumberReady: 3, UpdatedNumberScheduled: 3},
		{DesiredNumberScheduled: 40, NumberReady: 21, UpdatedNumberScheduled: 30, NumberUnavailable: 19, ObservedGeneration: 7},
	} {
		require.Equal(t, ready, of(same))
	}
	require.NotEqual(t, ready, of(appsv1.DaemonSetStatus{DesiredNumberScheduled: 40, NumberReady: 19, UpdatedNumberScheduled: 40}))
	web := &appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{NumberReady: 3, UpdatedNumberScheduled: 3}}
	Trim(web)
	require.Equal(t, &appsv1.DaemonSet{}, web, "of what is no engine no status is kept")
}

func TestEnginesAreFoundInOneOrder(t *testing.T) {
	of := func(name, version string, ready, wanted int32) appsv1.DaemonSet {
		d := appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: wanted, NumberReady: ready, UpdatedNumberScheduled: wanted}}
		d.Name = name
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: containerName, Image: "registry.dagger.io/engine:" + version}}
		return d
	}
	want := []appsv1.DaemonSet{
		of("b", "v0.21.8", 1, 2), of("a", "v0.20.8", 3, 3), of("c", "v0.20.8", 3, 3), of("beta", "v0.20.8-rc.1", 3, 3), of("own", "mine", 1, 1),
		of("rolling", "v1.0.0", 1, 3), of("new", "v1.1.0", 0, 3), of("new-too", "v1.1.0+build", 0, 3),
	}
	w := Workloads{DaemonSets: slices.Clone(want)}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		rng.Shuffle(len(w.DaemonSets), func(i, j int) { w.DaemonSets[i], w.DaemonSets[j] = w.DaemonSets[j], w.DaemonSets[i] })
		found, err := w.Discover(labels.Everything())
		require.NoError(t, err)
		for i, e := range found.Engines {
			require.Equal(t, want[i].Name, e.Workload.Name)
		}
	}
}

// TestATenantsThousandEngines holds what a namespace's owner can make of discovery: few are considered, and those by the order.
func TestATenantsThousandEngines(t *testing.T) {
	var w Workloads
	for i := range 5000 {
		d := appsv1.DaemonSet{}
		d.Name = fmt.Sprintf("e%04d", i)
		d.Spec.Template.Labels = map[string]string{"a": "b"}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: containerName, Image: fmt.Sprintf("registry.dagger.io/engine:v0.1.%d", i),
			Args: []string{"--addr", "tcp://0.0.0.0:1"}}}
		w.DaemonSets = append(w.DaemonSets, d)
		s := corev1.Service{}
		s.Name = strings.Replace(d.Name, "e", "s", 1)
		s.Spec.Selector, s.Spec.Ports = map[string]string{"a": "b"}, []corev1.ServicePort{{Port: 1}}
		w.Services = append(w.Services, s)
	}
	found, err := w.Discover(labels.Everything())
	require.NoError(t, err)
	require.Len(t, found.Engines, MostEngines)
	require.Equal(t, 5000-MostEngines, found.Left)
	require.Equal(t, "v0.1.4999", found.Engines[0].Version)
}
