package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

func engineSet(namespace, image, revision string) *appsv1.DaemonSet {
	d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "engine", ResourceVersion: revision}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{
		Name: "dagger-engine", Image: image, VolumeMounts: []corev1.VolumeMount{{Name: "run", MountPath: "/run/dagger"}},
	}}
	d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "run",
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/" + namespace}}}}
	return d
}

func someWeb(revision string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "web", ResourceVersion: revision}}
	return d
}

func someService(revision, affinity string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "s", ResourceVersion: revision},
		Spec:       corev1.ServiceSpec{SessionAffinity: corev1.ServiceAffinity(affinity)},
	}
}

func TestOnlyChangesOfEnginesAreNoted(t *testing.T) {
	known := engineSet("ci", "e:1", "1")
	noEngine := engineSet("ci", "e:1", "2")
	noEngine.Spec.Template.Spec.Containers = nil
	cases := map[string]struct {
		object, old any
		noted       bool
	}{
		"an engine comes":             {known, nil, true},
		"an engine is upgraded":       {engineSet("ci", "e:2", "2"), known, true},
		"an engine's status":          {engineSet("ci", "e:1", "2"), known, false},
		"its first replica is ready":  {readyOf(1, 3), readyOf(0, 3), true},
		"half of them are":            {readyOf(2, 3), readyOf(1, 3), true},
		"more of them are":            {readyOf(3, 3), readyOf(2, 3), false},
		"a node more, as ready":       {readyOf(3, 4), readyOf(3, 3), false},
		"it begins to drain":          {drains(engineSet("ci", "e:1", "2")), known, true},
		"an engine is one no more":    {noEngine, known, true},
		"an engine is made of it":     {known, noEngine, true},
		"an engine goes unseen":       {toolscache.DeletedFinalStateUnknown{Key: "ci/engine", Obj: known}, nil, true},
		"another workload comes":      {someWeb("1"), nil, false},
		"another workload changes":    {someWeb("2"), someWeb("1"), false},
		"a Service comes":             {someService("1", "None"), nil, true},
		"a Service changes":           {someService("2", "ClientIP"), someService("1", "None"), true},
		"a Service's status":          {someService("2", "None"), someService("1", "None"), false},
		"something else goes unseen":  {toolscache.DeletedFinalStateUnknown{Key: "ci/x"}, nil, false},
		"another workload goes again": {toolscache.DeletedFinalStateUnknown{Key: "ci/web", Obj: someWeb("1")}, nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := &ownEngines{changes: map[string]uint64{}}
			before, elsewhere := o.stamp("ci"), o.stamp("other")
			o.changed(c.object, c.old)
			require.Equal(t, c.noted, o.stamp("ci") != before)
			require.Equal(t, elsewhere, o.stamp("other"))
		})
	}
}

// readyOf is an engine as it is kept, with so many replicas ready.
func readyOf(ready, wanted int32) *appsv1.DaemonSet {
	d := engineSet("ci", "e:1", strconv.Itoa(int(100*wanted+ready)))
	d.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: wanted, NumberReady: ready, UpdatedNumberScheduled: wanted}
	engine.Trim(d)
	return d
}

func drains(d *appsv1.DaemonSet) *appsv1.DaemonSet {
	d.Annotations = map[string]string{engine.Annotation: engine.Draining}
	return d
}

// TestARollOutCompilesPoliciesTwice has an engine roll out on a hundred nodes, each of which changes its status, and so often that
// nodes come and go after that.
func TestARollOutCompilesPoliciesTwice(t *testing.T) {
	fake := &fakeCache{image: "e:v1.0.0"}
	s := NewPolicyStore("release")
	s.ownEngines = &ownEngines{engineCache: engineCache{Cache: fake}, changes: map[string]uint64{}}
	s.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "release", Name: config.ConfigMapName}, Data: map[string]string{
		"policy.yaml": "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {discover: {ownNamespace: true}}\n",
	}})
	s.Policies("ci")
	require.EqualValues(t, 1, fake.lists.Load())
	watcher := newEngineWatcher(engineAPI{}, nil, nil)
	states := 0
	update := func(now, before *appsv1.DaemonSet) {
		s.ownEngines.changed(now, before)
		s.Policies("ci")
		watcher.handler().OnUpdate(before, now)
		select {
		case <-watcher.dirty:
			states++
		default:
		}
	}
	for ready := range int32(100) {
		update(readyOf(ready+1, 100), readyOf(ready, 100))
	}
	for wanted := range int32(100) {
		update(readyOf(99+wanted, 101+wanted), readyOf(100+wanted, 100+wanted))
	}
	require.EqualValues(t, 3, fake.lists.Load(), "with the first replica that is ready, and with half of them")
	require.Equal(t, 2, states)
}

func TestNamespacesThatComeAndGoAreForgotten(t *testing.T) {
	o := &ownEngines{changes: map[string]uint64{}}
	o.changed(engineSet("first", "e:1", "1"), nil)
	first := o.stamp("first")
	for i := range 2 * maxRemembered {
		o.changed(engineSet("ns-"+strconv.Itoa(i), "e:1", "1"), nil)
	}
	require.LessOrEqual(t, len(o.changes), maxRemembered)
	require.NotEqual(t, first, o.stamp("first"), "what was forgotten is not taken for unchanged")
}

func TestWhyNothingIsReadOfAllNamespaces(t *testing.T) {
	o := &ownEngines{changes: map[string]uint64{}, failure: errOwnNotRead, log: slog.New(slog.DiscardHandler)}
	require.ErrorIs(t, o.ready(nil), errOwnNotRead)
	away := utilerrors.NewAggregate([]error{errors.New("the connection was refused")})
	o.failed(away)
	require.ErrorContains(t, o.ready(nil), away.Error(), "pods would be refused until it is tried again")
	require.True(t, o.stamp("ci") == o.stamp("ci"), "a list of errors cannot be compared")
	o.failed(apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New("no")))
	require.NoError(t, o.ready(nil), "it keeps nobody from being ready")
	require.ErrorIs(t, o.stamp("ci").err, errOwnForbidden)
	o.read()
	require.NoError(t, o.stamp("ci").err)
	o.failed(errors.New("the connection was lost"))
	require.NoError(t, o.stamp("ci").err, "what was read stays known")
}

// fakeCache has one engine in each namespace, and counts how often it is read.
type fakeCache struct {
	cache.Cache
	image string
	lists atomic.Int64
}

func (f *fakeCache) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	if daemonSets, ok := list.(*appsv1.DaemonSetList); ok {
		f.lists.Add(1)
		daemonSets.Items = []appsv1.DaemonSet{*engineSet(o.Namespace, f.image, "1")}
	}
	return nil
}

func TestEachNamespaceHasItsOwnEngine(t *testing.T) {
	fake := &fakeCache{image: "e:v1.0.0"}
	s := NewPolicyStore("release")
	s.ownEngines = &ownEngines{engineCache: engineCache{Cache: fake}, changes: map[string]uint64{}}
	document := "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"
	put := func(namespace, text string) {
		s.Set(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: config.ConfigMapName},
			Data: map[string]string{"policy.yaml": text}})
	}
	put("release", document+"engine: {discover: {ownNamespace: true}}\n")
	decide := func(namespace string) *inject.Plan { return decideWith(t, namespace, s.Policies(namespace)) }
	requireRead := func(namespace, image string) {
		t.Helper()
		plan := decide(namespace)
		require.Equal(t, inject.ReasonInjected, plan.Reason, plan.Detail)
		require.Equal(t, "DaemonSet "+namespace+"/engine", plan.Status.ReadFrom)
		require.Equal(t, image, plan.Status.CLIImage)
	}
	requireRead("a", "e:v1.0.0")
	requireRead("b", "e:v1.0.0")
	for range 10 {
		require.Same(t, s.Policies("a"), s.Policies("a"), "nothing is compiled for a request while nothing changes")
	}
	require.EqualValues(t, 2, fake.lists.Load())

	fake.image = "e:v1.1.0"
	s.ownEngines.changed(engineSet("a", "e:v1.1.0", "2"), engineSet("a", "e:v1.0.0", "1"))
	requireRead("a", "e:v1.1.0")
	requireRead("b", "e:v1.0.0") // of its own engine nothing was told
	put("b", document+"env: [{name: TEAM, value: b}]\n")
	requireRead("b", "e:v1.1.0")
	put("release", document+"engine: {discover: {ownNamespace: true}}\nonError: admit\n")
	requireRead("a", "e:v1.1.0")
	require.Len(t, s.ownPolicies.compiled, 1, "of an older policy of the cluster's nothing is kept")

	s.ownEngines = nil
	put("release", document+"engine: {discover: {ownNamespace: true}}\n")
	plan := decide("a")
	require.Equal(t, inject.ReasonNoEngine, plan.Reason)
	require.Contains(t, plan.Detail, "discover.ownNamespace")
}

func TestTheServersVersionIsAskedForAgain(t *testing.T) {
	answer := "v1.34.2"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" || answer == "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(version.Info{GitVersion: answer})
	}))
	defer server.Close()
	s, err := newServerVersion(&rest.Config{Host: server.URL}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Error(t, s.ready(nil))
	for _, step := range []struct {
		answer string
		has    bool
		fails  bool
	}{{"v1.34.2", false, false}, {"v1.35.0", true, false}, {"", true, true}, {"new", true, true}, {"v1.34.9", false, false}} {
		answer = step.answer
		require.Equal(t, step.fails, s.ask() != nil, step.answer)
		require.Equal(t, step.has, s.imageVolumes(), step.answer)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	require.Eventually(t, func() bool { return s.ready(nil) == nil }, 30*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// decideWith decides on a pod that asks, in a namespace.
func decideWith(t *testing.T, namespace string, policies *inject.Policies) *inject.Plan {
	t.Helper()
	var d rawjson.Document
	pod, err := d.Parse(asking)
	require.NoError(t, err)
	return inject.Decide(inject.Input{Pod: pod, Namespace: inject.Namespace{Name: namespace}, Policies: policies, Version: "test"})
}

// BenchmarkPoliciesOfTheOwnNamespace is a look-up of policies, whose engine is the cluster's or the namespace's own.
func BenchmarkPoliciesOfTheOwnNamespace(b *testing.B) {
	for name, discover := range map[string]string{"cluster": "{}", "own": "{discover: {ownNamespace: true}}"} {
		b.Run(name, func(b *testing.B) {
			s := NewPolicyStore("release")
			s.ownEngines = &ownEngines{engineCache: engineCache{Cache: &fakeCache{image: "e:v1.0.0"}}, changes: map[string]uint64{}}
			s.Set(&corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "release", Name: config.ConfigMapName},
				Data: map[string]string{"policy.yaml": "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: " + discover +
					"\n"},
			})
			b.ReportAllocs()
			for b.Loop() {
				if s.Policies("ci").Err() != nil {
					b.Fatal("the policy is invalid")
				}
			}
		})
	}
}
