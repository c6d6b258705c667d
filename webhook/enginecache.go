package webhook

import (
	"context"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// engineAPI is what a cache needs to read engines. The mapper must know engineKinds while the API server is away.
type engineAPI struct {
	config *rest.Config
	scheme *runtime.Scheme
	mapper meta.RESTMapper
}

// engineKinds are the kinds of objects that an engine is read off.
func engineKinds() []client.Object {
	return []client.Object{&appsv1.DaemonSet{}, &appsv1.StatefulSet{}, &appsv1.Deployment{}, &corev1.Service{}}
}

// engineCache is a running cache of the workloads and Services of one namespace, or of all.
type engineCache struct {
	cache.Cache
	stop   context.CancelFunc
	synced []func() bool
}

// engineEvents are the functions that an engineCache calls.
type engineEvents struct {
	change toolscache.ResourceEventHandler
	// failure is called with every error of a watch.
	failure func(error)
	// synced is called once everything has been read.
	synced func()
}

// start begins to read.
func (c *engineCache) start(api engineAPI, namespace string, on engineEvents) {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	var err error
	c.Cache, err = cache.New(api.config, cache.Options{
		Scheme:                       api.scheme,
		Mapper:                       api.mapper,
		DefaultNamespaces:            map[string]cache.Config{namespace: {}},
		DefaultTransform:             trimEngine,
		DefaultUnsafeDisableDeepCopy: ptr.To(true),
		DefaultWatchErrorHandler: func(ctx context.Context, r *toolscache.Reflector, err error) {
			toolscache.DefaultWatchErrorHandler(ctx, r, err)
			on.failure(err)
		},
	})
	for _, kind := range engineKinds() {
		if err != nil {
			break
		}
		var informer cache.Informer
		if informer, err = c.GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err == nil {
			c.synced = append(c.synced, informer.HasSynced)
			_, err = informer.AddEventHandler(on.change)
		}
	}
	if err != nil {
		go on.failure(err) // the caller may hold the lock that it takes
		return
	}
	go func() {
		if err := c.Start(ctx); err != nil {
			on.failure(err)
		}
	}()
	go func() {
		if c.WaitForCacheSync(ctx) {
			on.synced() // an empty namespace causes no other event
		}
	}()
}

func (c *engineCache) isSynced() bool {
	for _, done := range c.synced {
		if !done() {
			return false
		}
	}
	return len(c.synced) > 0
}

func (c *engineCache) list(ctx context.Context, namespace string) engineNamespace {
	var daemonSets appsv1.DaemonSetList
	var statefulSets appsv1.StatefulSetList
	var deployments appsv1.DeploymentList
	var services corev1.ServiceList
	for _, list := range []client.ObjectList{&daemonSets, &statefulSets, &deployments, &services} {
		if err := c.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			return engineNamespace{err: err}
		}
	}
	return engineNamespace{workloads: engine.Workloads{
		DaemonSets: daemonSets.Items, StatefulSets: statefulSets.Items, Deployments: deployments.Items, Services: services.Items,
	}}
}

// changeOfEngine reports whether an event of a trimmed object may concern an engine, and in which namespace. Most events
// concern other workloads, or a change of status that no decision depends on.
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

// sameButVersion reports whether two states of a trimmed object differ in their resourceVersion at most.
func sameButVersion(a, b client.Object) bool {
	a, b = a.DeepCopyObject().(client.Object), b.DeepCopyObject().(client.Object)
	a.SetResourceVersion("")
	b.SetResourceVersion("")
	return reflect.DeepEqual(a, b)
}

// trimEngine reduces a workload or Service to what an engine is read off.
func trimEngine(object any) (any, error) {
	engine.Trim(object)
	return object, nil
}
