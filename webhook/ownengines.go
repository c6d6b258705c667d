package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// ownEngines reads the workloads and Services of all namespaces, for policies that look for the engine in the pod's own
// namespace. It counts the changes in each namespace, and reads engines off the cache when a policy is compiled.
type ownEngines struct {
	engineCache
	log *slog.Logger

	mu      sync.RWMutex
	isRead  bool
	failure error // why nothing has been read yet
	// changes counts the changes in each namespace. Since namespaces come and go, it is cleared, and epoch increased, before
	// it grows too large.
	changes map[string]uint64
	epoch   uint64
}

// ownStamp identifies a state of a namespace's engines: while the stamp is equal, so is the state.
type ownStamp struct {
	err           error
	epoch, change uint64
}

// maxRemembered is how many namespaces are remembered, deleted ones included.
const maxRemembered = 20_000

var (
	errOwnNotRead   = errors.New("the workloads of all namespaces are not read yet")
	errOwnForbidden = errors.New("the service account may not read the workloads of all namespaces: " +
		"the chart's value discover.ownNamespace lets it")
)

// newOwnEngines begins to read.
func newOwnEngines(api engineAPI, log *slog.Logger) *ownEngines {
	o := &ownEngines{log: log, changes: map[string]uint64{}, failure: errOwnNotRead}
	change := toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			if !initial { // before the first sync there is nothing to invalidate
				o.changed(object, nil)
			}
		},
		UpdateFunc: func(old, object any) { o.changed(object, old) },
		DeleteFunc: func(object any) { o.changed(object, nil) },
	}
	o.start(api, metav1.NamespaceAll, engineEvents{change: change, failure: o.failed, synced: o.read})
	return o
}

// Start reads until ctx ends.
func (o *ownEngines) Start(ctx context.Context) error {
	<-ctx.Done()
	o.stop()
	return nil
}

// NeedLeaderElection says that every replica reads.
func (*ownEngines) NeedLeaderElection() bool { return false }

func (o *ownEngines) read() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.isRead, o.failure = true, nil
}

func (o *ownEngines) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.isRead {
		return // the cache keeps what it has read
	}
	if apierrors.IsForbidden(err) {
		err = errOwnForbidden
	} else {
		// Stamps are compared with ==, which panics on some types of errors, such as lists. It never does on this one.
		err = fmt.Errorf("reading the workloads of all namespaces: %w", err)
	}
	if o.failure.Error() == err.Error() {
		return
	}
	o.failure = err
	o.log.Warn("engines cannot be read", "namespace", "all", "error", err)
}

// ready is the readiness check that all namespaces have been read, or may not be read. Any other failure is temporary, and
// readiness waits for it to pass.
func (o *ownEngines) ready(*http.Request) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if errors.Is(o.failure, errOwnForbidden) {
		return nil
	}
	return o.failure
}

// changed counts a change that may concern an engine.
func (o *ownEngines) changed(object, old any) {
	namespace, matters := changeOfEngine(object, old)
	if !matters {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.changes) >= maxRemembered {
		clear(o.changes)
		o.epoch++
	}
	o.changes[namespace]++
}

// stamp returns the current stamp of a namespace. It is called for every request.
func (o *ownEngines) stamp(namespace string) ownStamp {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return ownStamp{err: o.failure, epoch: o.epoch, change: o.changes[namespace]}
}

// discover finds the engines in a namespace.
func (o *ownEngines) discover(namespace string, selector labels.Selector) (*engine.Found, error) {
	if err := o.stamp(namespace).err; err != nil {
		return nil, err
	}
	return o.list(context.Background(), namespace).discover(namespace, selector)
}
