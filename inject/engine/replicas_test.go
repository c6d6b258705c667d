package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// statefulEngine is a StatefulSet of three behind a headless Service, and the Service.
func statefulEngine() (*appsv1.StatefulSet, *corev1.Service) {
	three := int32(3)
	s := &appsv1.StatefulSet{Status: appsv1.StatefulSetStatus{Replicas: 3, ReadyReplicas: 3, UpdatedReplicas: 3}}
	s.Namespace, s.Name, s.Spec.Replicas, s.Spec.ServiceName = "dagger", "engine", &three, "peers"
	s.Spec.Template.Labels = map[string]string{"app": "engine"}
	s.Spec.Template.Spec.Containers = []corev1.Container{{Name: containerName, Args: []string{"--addr=tcp://0.0.0.0:1234"}}}
	peers := &corev1.Service{}
	peers.Namespace, peers.Name = "dagger", "peers"
	peers.Spec.ClusterIP, peers.Spec.Selector = corev1.ClusterIPNone, map[string]string{"app": "engine"}
	return s, peers
}

func TestTheReplicasOfAStatefulSet(t *testing.T) {
	one, four := int32(1), int32(4)
	cases := map[string]struct {
		change        func(s *appsv1.StatefulSet, peers *corev1.Service)
		first         string
		offered       int32
		withoutOffers bool
	}{
		"all ready": {func(*appsv1.StatefulSet, *corev1.Service) {}, "engine-0.peers.dagger.svc:1234", 3, false},
		"numbered from seven": {func(s *appsv1.StatefulSet, _ *corev1.Service) {
			s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 7}
		}, "engine-7.peers.dagger.svc:1234", 3, false},
		"one is not ready, which one is not known": {func(s *appsv1.StatefulSet, _ *corev1.Service) { s.Status.ReadyReplicas = 2 },
			"engine-0.peers.dagger.svc:1234", 3, false},
		"the second is being made": {func(s *appsv1.StatefulSet, _ *corev1.Service) {
			s.Status.Replicas, s.Status.ReadyReplicas = 2, 1
		}, "engine-0.peers.dagger.svc:1234", 1, false},
		"all are being made at once": {func(s *appsv1.StatefulSet, _ *corev1.Service) {
			s.Spec.PodManagementPolicy, s.Status.Replicas, s.Status.ReadyReplicas = appsv1.ParallelPodManagement, 2, 1
		}, "engine-0.peers.dagger.svc:1234", 3, false},
		"none is ready": {func(s *appsv1.StatefulSet, _ *corev1.Service) { s.Status.Replicas, s.Status.ReadyReplicas = 1, 0 },
			"engine-0.peers.dagger.svc:1234", 3, false},
		"a fourth is being made": {func(s *appsv1.StatefulSet, _ *corev1.Service) { s.Spec.Replicas, s.Status.Replicas = &four, 4 },
			"engine-0.peers.dagger.svc:1234", 4, false},
		"one alone":                {func(s *appsv1.StatefulSet, _ *corev1.Service) { s.Spec.Replicas = &one }, "", 0, true},
		"no governing Service":     {func(_ *appsv1.StatefulSet, peers *corev1.Service) { peers.Name = "other" }, "", 0, true},
		"one with an address":      {func(_ *appsv1.StatefulSet, peers *corev1.Service) { peers.Spec.ClusterIP = "10.0.0.1" }, "", 0, true},
		"one that selects others":  {func(_ *appsv1.StatefulSet, peers *corev1.Service) { peers.Spec.Selector["app"] = "other" }, "", 0, true},
		"one of another namespace": {func(_ *appsv1.StatefulSet, peers *corev1.Service) { peers.Namespace = "other" }, "", 0, true},
		"it listens on no port there": {func(s *appsv1.StatefulSet, _ *corev1.Service) { s.Spec.Template.Spec.Containers[0].Args = nil }, "", 0,
			true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, peers := statefulEngine()
			c.change(s, peers)
			for range 3 {
				w := Workloads{StatefulSets: []appsv1.StatefulSet{*s}, Services: []corev1.Service{*peers}}
				found, err := w.Discover(labels.Everything())
				require.NoError(t, err)
				r := found.Engines[0].Replicas
				if c.withoutOffers {
					require.Nil(t, r)
				} else {
					require.Equal(t, c.first, r.Address(0))
					require.Equal(t, c.offered, r.Offered)
				}
				Trim(s) // says the same, be it twice
				Trim(peers)
			}
		})
	}
}

func TestAnAddressIsOfOneReplicaOrOfNone(t *testing.T) {
	r := Replicas{Name: "engine", Namespace: "dagger", Service: "peers", Start: 5, Wanted: 3, Offered: 1, Port: 1234}
	for n := range r.Wanted {
		got, ok := r.Index(r.Address(n))
		require.True(t, ok, "those that are not offered now, too")
		require.Equal(t, n, got)
	}
	for _, address := range []string{
		"", "engine-5", "engine-4.peers.dagger.svc:1234", "engine-8.peers.dagger.svc:1234", "engine-05.peers.dagger.svc:1234",
		"engine-+5.peers.dagger.svc:1234",
		"engine-5.peers.dagger.svc:1235", "engine-5.peers.other.svc:1234", "other-5.peers.dagger.svc:1234", "5.peers.dagger.svc:1234",
		"engine-99999999999.peers.dagger.svc:1234",
	} {
		_, ok := r.Index(address)
		require.False(t, ok, address)
	}
}
