package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// source is a clusterSource whose cache and live reads are two fake clients; what is read live is counted.
type source struct {
	*clusterSource
	youngPolicies *liveReader
	mu            sync.Mutex
	live          int
	fail          error
	clock         time.Time
}

func newSource(cached, live []client.Object) *source {
	s := &source{clock: time.Now()}
	reader := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(live...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			s.mu.Lock()
			s.live++
			s.mu.Unlock()
			if s.fail != nil {
				return s.fail
			}
			return c.Get(ctx, key, obj, opts...)
		},
	}).Build()
	store := NewPolicyStore("release")
	store.Set(policyMap("release", only("engine: {socket: {hostPath: /run/d}}")))
	cache := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(cached...).Build()
	store.live = newLiveReader(reader)
	s.clusterSource, s.youngPolicies = newClusterSource(cache, reader, store), store.live
	s.now = func() time.Time { return s.clock }
	s.unknown.now, s.youngPolicies.now = s.now, s.now
	return s
}

func (s *source) reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

func (s *source) namespace(name string, age time.Duration) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Now().Add(-age)),
		Labels: map[string]string{"l": name}}}
}

func TestOldNamespacesAreNeverReadLive(t *testing.T) {
	s := newSource([]client.Object{(&source{}).namespace("old", time.Minute)}, nil)
	for range 100 {
		facts, policies, err := s.Lookup(t.Context(), "old")
		require.NoError(t, err)
		require.Equal(t, "old", facts.Labels["l"])
		require.NoError(t, policies.Err())
	}
	require.Zero(t, s.live)
}

func TestAYoungNamespacesPolicyIsReadLiveAndItsMissRemembered(t *testing.T) {
	young := (&source{}).namespace("young", time.Second)
	s := newSource([]client.Object{young}, nil)
	for range 100 {
		_, _, err := s.Lookup(t.Context(), "young")
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.live)
	s.clock = s.clock.Add(missTTL)
	_, _, err := s.Lookup(t.Context(), "young")
	require.NoError(t, err)
	require.Equal(t, 2, s.live)

	s = newSource([]client.Object{young}, []client.Object{policyMap("young", only("nonsense: 1"))})
	_, policies, err := s.Lookup(t.Context(), "young")
	require.NoError(t, err)
	require.ErrorContains(t, policies.Err(), "nonsense")
}

func TestANamespaceThatTheCacheDoesNotHave(t *testing.T) {
	s := newSource(nil, []client.Object{(&source{}).namespace("new", 0)})
	facts, _, err := s.Lookup(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, "new", facts.Labels["l"])
	_, _, err = s.Lookup(t.Context(), "nowhere")
	require.ErrorContains(t, err, "reading namespace nowhere")
	s.fail = errors.New("no route to host")
	_, _, err = s.Lookup(t.Context(), "new")
	require.ErrorContains(t, err, "no route to host")
}

func TestABurstOfPodsInANewNamespaceSharesTheReads(t *testing.T) {
	s := newSource(nil, []client.Object{(&source{}).namespace("new", 0)})
	var wg sync.WaitGroup
	failed := make(chan error, 500)
	for range cap(failed) {
		wg.Go(func() {
			if _, _, err := s.Lookup(t.Context(), "new"); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	require.Empty(t, failed)
}

func TestABurstOfNewNamespacesWaitsForItsTurn(t *testing.T) {
	var namespaces []client.Object
	for i := range 60 {
		namespaces = append(namespaces, (&source{}).namespace(fmt.Sprintf("new-%d", i), 0))
	}
	s := newSource(nil, namespaces)
	var wg sync.WaitGroup
	failed := make(chan error, len(namespaces))
	for _, ns := range namespaces {
		wg.Go(func() {
			if _, _, err := s.Lookup(t.Context(), ns.GetName()); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	require.Empty(t, failed)
}

func TestLiveReadsAreLimitedAltogether(t *testing.T) {
	s := newSource(nil, nil)
	s.unknown.limit.SetLimit(0) // what is used up does not come back meanwhile
	var wg sync.WaitGroup
	var limited atomic.Int64
	for i := range 10 * liveBurst {
		wg.Go(func() {
			if _, _, err := s.Lookup(t.Context(), fmt.Sprintf("nowhere-%d", i)); strings.Contains(fmt.Sprint(err), "too many live reads") {
				limited.Add(1)
			}
		})
	}
	wg.Wait()
	require.NotZero(t, limited.Load(), "an internal fault, so that failurePolicy decides")
	require.LessOrEqual(t, s.reads(), liveBurst)
}

func TestLimitRangesAreCombined(t *testing.T) {
	item := func(kind corev1.LimitType, least, most string) *corev1.LimitRange {
		return &corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: string(kind) + "-" + least},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: kind, Min: corev1.ResourceList{"cpu": resource.MustParse(least)}, Max: corev1.ResourceList{"cpu": resource.MustParse(most)},
			}}},
		}
	}
	ranges := []*corev1.LimitRange{item(corev1.LimitTypeContainer, "100m", "2"), item(corev1.LimitTypeContainer, "200m", "4"),
		item(corev1.LimitTypePod, "1", "1")}
	var objects []client.Object
	for _, r := range ranges {
		stripped, err := stripLimitRange(r)
		require.NoError(t, err)
		objects = append(objects, stripped.(client.Object))
	}
	limits, err := containerLimits(t.Context(), fake.NewClientBuilder().WithObjects(objects...).Build(), "a")
	require.NoError(t, err)
	require.Equal(t, "200m", limits.Min.Cpu().String())
	require.Equal(t, "2", limits.Max.Cpu().String())
}

func TestMadeUpNamespacesDoNotUseUpTheReadsOfYoungOnes(t *testing.T) {
	s := newSource([]client.Object{(&source{}).namespace("young", time.Second)}, nil)
	s.unknown.limit.SetLimit(0) // what is used up does not come back meanwhile
	var wg sync.WaitGroup
	for i := range 5 * liveBurst {
		wg.Go(func() { _, _, _ = s.Lookup(t.Context(), fmt.Sprintf("nowhere-%d", i)) })
	}
	wg.Wait()
	require.Less(t, s.unknown.limit.Tokens(), 1.0, "they have used up their own")
	_, _, err := s.Lookup(t.Context(), "young")
	require.NoError(t, err)
	require.GreaterOrEqual(t, s.youngPolicies.limit.Tokens(), liveBurst-1.0)
}

func TestANamespaceThatDoesNotExistIsReadOnceInAWhile(t *testing.T) {
	s := newSource(nil, nil)
	for range 100 {
		_, _, err := s.Lookup(t.Context(), "nowhere")
		require.ErrorContains(t, err, "not found")
	}
	require.Equal(t, 1, s.reads())
	s.clock = s.clock.Add(missTTL)
	_, _, err := s.Lookup(t.Context(), "nowhere")
	require.Error(t, err)
	require.Equal(t, 2, s.reads())
}

func TestWithoutABudgetTheCacheIsAwaited(t *testing.T) {
	s := newSource(nil, nil)
	require.True(t, s.unknown.limit.AllowN(time.Now(), liveBurst))
	s.unknown.limit.SetLimit(0)
	answer := make(chan error)
	go func() {
		_, _, err := s.Lookup(t.Context(), "late")
		answer <- err
	}()
	require.Eventually(t, func() bool { return len(s.unknown.waiting) == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.cache.(client.Client).Create(t.Context(), (&source{}).namespace("late", time.Minute)))
	require.NoError(t, <-answer)
	require.Zero(t, s.reads())
}

func TestANameThatNoNamespaceCanHaveIsRefused(t *testing.T) {
	s := newSource(nil, nil)
	for _, name := range []string{"UPPER", "a.b", "a/b", "-a", "a\nb"} {
		_, _, err := s.Lookup(t.Context(), name)
		var refused *httpError
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, http.StatusBadRequest, refused.code)
	}
	require.Zero(t, s.reads())
}

func TestLimitRangesAreBounded(t *testing.T) {
	large := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer,
		Min: corev1.ResourceList{}}}}}
	for i := range 1000 {
		large.Spec.Limits[0].Min[corev1.ResourceName(fmt.Sprintf("example.com/r%04d", i))] = resource.MustParse("1")
	}
	stripped, err := stripLimitRange(large)
	require.NoError(t, err, "an error would stop the cache for all namespaces")
	least := stripped.(*corev1.LimitRange).Spec.Limits[0].Min
	require.Len(t, least, 64)
	require.Contains(t, least, corev1.ResourceName("example.com/r0000"))

	var many []client.Object
	for i := range maxLimitRanges + 1 {
		many = append(many, &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprintf("l%d", i)}})
	}
	_, err = containerLimits(t.Context(), fake.NewClientBuilder().WithObjects(many...).Build(), "a")
	require.ErrorContains(t, err, "more than the 64")
}
