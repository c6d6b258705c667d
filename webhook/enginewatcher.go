package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// engineState is what is known of engines at one moment, by namespace. It is immutable.
type engineState map[string]engineNamespace

type engineNamespace struct {
	workloads engine.Workloads
	err       error // the namespace cannot be read
}

// Discover finds the engines of a namespace.
func (s engineState) Discover(namespace string, selector labels.Selector) (*engine.Found, error) {
	known, watched := s[namespace]
	switch {
	case namespace == "":
		return nil, inject.ErrOwnNamespaceOff
	case !watched:
		return nil, fmt.Errorf("engines of namespace %s are not read: the cluster's policy must name it in engine.discover.namespace", namespace)
	case known.err != nil:
		return nil, known.err
	}
	found, err := known.workloads.Discover(selector)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	return found, nil
}

// engineWatcher reads the workloads of the namespaces in which policies look for engines, and no others, so that a Role in each
// is enough. A namespace that is missing or forbidden has no engine; it does not keep the replica from becoming ready.
type engineWatcher struct {
	config *rest.Config
	scheme *runtime.Scheme
	mapper meta.RESTMapper
	log    *slog.Logger
	// changed is called with every new state.
	changed func(engineState)

	mu         sync.Mutex
	namespaces map[string]*watchedNamespace
	dirty      chan struct{}
}

// watchedNamespace is a running cache of one namespace.
type watchedNamespace struct {
	cache.Cache
	stop   context.CancelFunc
	synced []func() bool
	err    error // the last failure of a watch, before all were synced
	// forbidden is true if the service account may not read the namespace. Any other failure is temporary, and readiness waits
	// for it to pass.
	forbidden bool
	// known is true once decisions use what was read, or know that reading is forbidden.
	known bool
}

// newEngineWatcher watches nothing yet. The mapper must know engineKinds while the API server is away.
func newEngineWatcher(
	config *rest.Config, scheme *runtime.Scheme, mapper meta.RESTMapper, log *slog.Logger, changed func(engineState),
) *engineWatcher {
	return &engineWatcher{
		config: config, scheme: scheme, mapper: mapper, log: log, changed: changed,
		namespaces: map[string]*watchedNamespace{}, dirty: make(chan struct{}, 1),
	}
}

// NeedLeaderElection says that every replica watches.
func (*engineWatcher) NeedLeaderElection() bool { return false }

// settle is how long changes are collected before a new state is computed: an upgrade changes several objects at once.
const settle = 20 * time.Millisecond

// Start computes a new state after every change, until ctx ends.
func (w *engineWatcher) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			w.want(nil)
			return nil
		case <-w.dirty:
		}
		time.Sleep(settle)
		state, read := w.state(ctx)
		w.changed(state)
		w.mu.Lock()
		for _, watched := range read {
			watched.known = true
		}
		w.mu.Unlock()
	}
}

func (w *engineWatcher) touch() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// want watches these namespaces and stops watching all others.
func (w *engineWatcher) want(namespaces []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, watched := range w.namespaces {
		if !slices.Contains(namespaces, name) {
			watched.stop()
			delete(w.namespaces, name)
			w.touch()
		}
	}
	for _, name := range namespaces {
		if w.namespaces[name] == nil {
			w.namespaces[name] = w.watch(name)
			w.touch()
		}
	}
}

// engineKinds are the objects that an engine is read off.
func engineKinds() []client.Object {
	return []client.Object{&appsv1.DaemonSet{}, &appsv1.StatefulSet{}, &appsv1.Deployment{}, &corev1.Service{}}
}

func (w *engineWatcher) watch(namespace string) *watchedNamespace {
	watched := &watchedNamespace{}
	watched.start(w.config, w.scheme, w.mapper, namespace, w.handler(), func(err error) { w.failed(watched, namespace, err) }, w.touch)
	return watched
}

// handler has a state made of the changes that matter.
func (w *engineWatcher) handler() toolscache.ResourceEventHandler {
	changed := func(object, old any) {
		if _, matters := changeOfEngine(object, old); matters {
			w.touch()
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { changed(object, nil) },
		UpdateFunc: func(old, object any) { changed(object, old) },
		DeleteFunc: func(object any) { changed(object, nil) },
	}
}

// start reads the workloads and Services of a namespace, or of all, and tells of every change, of failures, and of having
// read all.
func (watched *watchedNamespace) start(config *rest.Config, scheme *runtime.Scheme, mapper meta.RESTMapper, namespace string,
	handler toolscache.ResourceEventHandler, failed func(error), read func()) {
	ctx, cancel := context.WithCancel(context.Background())
	watched.stop = cancel
	var err error
	watched.Cache, err = cache.New(config, cache.Options{
		Scheme:                       scheme,
		Mapper:                       mapper,
		DefaultNamespaces:            map[string]cache.Config{namespace: {}},
		DefaultTransform:             trimEngine,
		DefaultUnsafeDisableDeepCopy: ptr.To(true),
		DefaultWatchErrorHandler: func(ctx context.Context, r *toolscache.Reflector, err error) {
			toolscache.DefaultWatchErrorHandler(ctx, r, err)
			failed(err)
		},
	})
	for _, kind := range engineKinds() {
		if err != nil {
			break
		}
		var informer cache.Informer
		if informer, err = watched.GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err == nil {
			watched.synced = append(watched.synced, informer.HasSynced)
			_, err = informer.AddEventHandler(handler)
		}
	}
	if err != nil {
		go failed(err) // the caller may hold the lock that failed takes
		return
	}
	go func() {
		if err := watched.Start(ctx); err != nil {
			failed(err)
		}
	}()
	go func() {
		if watched.WaitForCacheSync(ctx) {
			read() // an empty namespace causes no other event
		}
	}()
}

// changeOfEngine reports whether an event of a trimmed object may change what is known of engines, and in which namespace. Most
// events are of other workloads, or of a status that says nothing new to decisions.
func changeOfEngine(object, old any) (namespace string, matters bool) {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	now, ok := object.(client.Object)
	if !ok {
		return "", false
	}
	if _, isService := object.(*corev1.Service); !isService && !engine.IsEngine(object) && (old == nil || !engine.IsEngine(old)) {
		return "", false
	}
	before, had := old.(client.Object)
	return now.GetNamespace(), !had || !sameButVersion(before, now)
}

// sameButVersion reports whether two states of a trimmed object differ in nothing that is read.
func sameButVersion(a, b client.Object) bool {
	a, b = a.DeepCopyObject().(client.Object), b.DeepCopyObject().(client.Object)
	a.SetResourceVersion("")
	b.SetResourceVersion("")
	return reflect.DeepEqual(a, b)
}

// trimEngine keeps of a workload or Service what an engine is read off.
func trimEngine(object any) (any, error) {
	engine.Trim(object)
	return object, nil
}

func (w *engineWatcher) failed(watched *watchedNamespace, namespace string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if apierrors.IsForbidden(err) {
		watched.forbidden = true
		err = fmt.Errorf("the service account may not read the workloads of namespace %s", namespace)
	}
	if watched.err == nil {
		w.log.Warn("engines cannot be read", "namespace", namespace, "error", err)
	}
	watched.err = err
	w.touch()
}

func (watched *watchedNamespace) isSynced() bool {
	for _, done := range watched.synced {
		if !done() {
			return false
		}
	}
	return len(watched.synced) > 0
}

// ready is the readiness check that every wanted namespace was read, or may not be read.
func (w *engineWatcher) ready(*http.Request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, watched := range w.namespaces {
		switch {
		case watched.known:
		case watched.err != nil:
			return fmt.Errorf("the engines of namespace %s are not read yet: %w", name, watched.err)
		default:
			return fmt.Errorf("the engines of namespace %s are not read yet", name)
		}
	}
	return nil
}

// state reads the caches, and also returns those of which something is known.
func (w *engineWatcher) state(ctx context.Context) (state engineState, read []*watchedNamespace) {
	w.mu.Lock()
	defer w.mu.Unlock()
	state = engineState{}
	for name, watched := range w.namespaces {
		if !watched.isSynced() {
			err := watched.err
			if err == nil {
				err = fmt.Errorf("the workloads of namespace %s are not read yet", name)
			}
			if watched.forbidden {
				read = append(read, watched)
			}
			state[name] = engineNamespace{err: err}
			continue
		}
		watched.err = nil
		state[name] = watched.list(ctx, name)
		read = append(read, watched)
	}
	return state, read
}

func (watched *watchedNamespace) list(ctx context.Context, namespace string) engineNamespace {
	var daemonSets appsv1.DaemonSetList
	var statefulSets appsv1.StatefulSetList
	var deployments appsv1.DeploymentList
	var services corev1.ServiceList
	for _, list := range []client.ObjectList{&daemonSets, &statefulSets, &deployments, &services} {
		if err := watched.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			return engineNamespace{err: err}
		}
	}
	return engineNamespace{workloads: engine.Workloads{
		DaemonSets: daemonSets.Items, StatefulSets: statefulSets.Items, Deployments: deployments.Items, Services: services.Items,
	}}
}
