package webhook

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// enginePods reads which engines are ready, on which nodes, in the namespaces for which a policy places pods by cache. It reads no pod
// elsewhere. Readiness does not wait for it: what is not read yet only leaves preferences out.
type enginePods struct {
	client rest.Interface
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	watched map[string]*podFeed
	dirty   chan struct{}
	ready   atomic.Pointer[engine.Ready]
}

// newEnginePods returns enginePods that read nothing yet, with a client for the core API group.
func newEnginePods(client rest.Interface, log *slog.Logger) *enginePods {
	p := &enginePods{client: client, log: log, now: time.Now, watched: map[string]*podFeed{}, dirty: make(chan struct{}, 1)}
	p.ready.Store(&engine.Ready{})
	return p
}

// get returns which engines are ready. Reading neither locks nor allocates.
func (p *enginePods) get() engine.Ready { return *p.ready.Load() }

// nodes returns on how many nodes an engine is ready, for the metrics.
func (p *enginePods) nodes() float64 {
	most := 0
	for _, ready := range p.get() {
		most = max(most, ready.Nodes.Len())
	}
	return float64(most)
}

// NeedLeaderElection says that every replica reads.
func (*enginePods) NeedLeaderElection() bool { return false }

// Start makes a new set after every change, and when a pod's grace ends, until ctx ends.
func (p *enginePods) Start(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			p.want(nil)
			return nil
		case <-p.dirty:
			time.Sleep(settle)
		case <-timer.C:
		}
		timer.Stop()
		if changes := p.update(); !changes.IsZero() {
			timer.Reset(max(settle, changes.Sub(p.now())))
		}
	}
}

// update makes a new set, and returns when it changes by itself.
func (p *enginePods) update() (changes time.Time) {
	p.mu.Lock()
	feeds := slices.Collect(maps.Values(p.watched))
	p.mu.Unlock()
	ready, changes := engine.NewReady(func(yield func(engine.Pod) bool) {
		for _, feed := range feeds {
			if !feed.each(yield) {
				return
			}
		}
	}, p.now(), p.get())
	p.ready.Store(&ready)
	return changes
}

func (p *enginePods) touch() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// want reads these namespaces and no others.
func (p *enginePods) want(namespaces []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, feed := range p.watched {
		if !slices.Contains(namespaces, name) {
			feed.stop()
			delete(p.watched, name)
			p.touch()
		}
	}
	for _, name := range namespaces {
		if p.watched[name] == nil {
			p.watched[name] = p.watch(name)
		}
	}
}

// watch begins to read a namespace.
func (p *enginePods) watch(namespace string) *podFeed {
	ctx, stop := context.WithCancel(context.Background())
	feed := &podFeed{changed: p.touch, stop: stop, pods: map[types.NamespacedName]engine.Pod{}}
	reflector := toolscache.NewReflectorWithOptions(trimmed(toolscache.NewListWatchFromClient(p.client, "pods", namespace, fields.Everything())),
		&corev1.Pod{}, feed, toolscache.ReflectorOptions{Name: "pods of " + namespace})
	reflector.WatchListPageSize = podPage
	go func() {
		// The reflector itself tries again.
		reflector.RunWithContext(ctx)
	}()
	go p.report(ctx, namespace, feed)
	return feed
}

// podPage is how many pods are read at a time. An API server that cannot stream its lists (before 1.34) sends whole ones otherwise, and
// 5,000 pods as they are sent fill the memory that a replica may have.
const podPage = 500

// trimmed returns a source that reduces the pods of each page before the next one is read. Streamed ones the feed reduces itself.
func trimmed(source *toolscache.ListWatch) *toolscache.ListWatch {
	with := *source
	with.ListWithContextFunc = func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list, err := source.ListWithContextFunc(ctx, options)
		if pods, ok := list.(*corev1.PodList); ok && err == nil {
			for i := range pods.Items {
				engine.TrimPod(&pods.Items[i])
			}
		}
		return list, err
	}
	return &with
}

// reportAfter is how long reading may take before the log says that it does.
const reportAfter = 10 * time.Second

// report says in the log why nothing is read of a namespace's pods.
func (p *enginePods) report(ctx context.Context, namespace string, feed *podFeed) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(reportAfter):
	}
	if feed.synced.Load() {
		return
	}
	err := p.client.Get().Namespace(namespace).Resource("pods").Param("limit", "1").Do(ctx).Error()
	switch {
	case apierrors.IsForbidden(err):
		p.log.Warn("jobs are not placed by cache: the service account may not read the pods of the engine's namespace",
			"namespace", namespace, "remedy", "the chart grants it where scheduling.cacheAffinity.enabled is true in its values")
	case err != nil:
		p.log.Warn("jobs are not placed by cache yet", "namespace", namespace, "error", err)
	}
}

// podFeed keeps what matters of the engines' pods of one namespace. An informer would keep whole pods.
type podFeed struct {
	changed func()
	stop    context.CancelFunc
	synced  atomic.Bool

	mu   sync.Mutex
	pods map[types.NamespacedName]engine.Pod
}

var _ toolscache.TransformingStore = &podFeed{}

// each calls yield for every pod, until it returns false.
func (f *podFeed) each(yield func(engine.Pod) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range f.pods {
		if !yield(pod) {
			return false
		}
	}
	return true
}

// Add, Update, Delete and Replace are what a reflector calls.

// Add stores a new pod.
func (f *podFeed) Add(obj any) error { return f.Update(obj) }

// Update stores a pod that has changed.
func (f *podFeed) Update(obj any) error {
	pod := obj.(*corev1.Pod)
	now, is := engine.PodOf(pod)
	f.mu.Lock()
	defer f.mu.Unlock()
	before, was := f.pods[nameOf(pod)]
	switch {
	case is && (!was || before != now):
		f.pods[nameOf(pod)] = now
	case !is && was:
		delete(f.pods, nameOf(pod))
	default:
		return nil
	}
	f.changed()
	return nil
}

// Delete removes a pod.
func (f *podFeed) Delete(obj any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name := nameOf(obj.(*corev1.Pod)); f.pods[name] != (engine.Pod{}) {
		delete(f.pods, name)
		f.changed()
	}
	return nil
}

// Replace stores all existing pods.
func (f *podFeed) Replace(list []any, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.pods)
	for _, obj := range list {
		if pod, is := engine.PodOf(obj.(*corev1.Pod)); is {
			f.pods[nameOf(obj.(*corev1.Pod))] = pod
		}
	}
	f.synced.Store(true)
	f.changed()
	return nil
}

// Resync does nothing, since the store drops nothing.
func (f *podFeed) Resync() error { return nil }

// Transformer reduces pods as they are streamed, before the whole list is in memory.
func (f *podFeed) Transformer() toolscache.TransformFunc {
	return func(obj any) (any, error) {
		if pod, ok := obj.(*corev1.Pod); ok {
			engine.TrimPod(pod)
		}
		return obj, nil
	}
}

func nameOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}
