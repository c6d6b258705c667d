package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
)

// engineWatcher reads the workloads of only those namespaces in which policies look for engines, so that a Role in each is
// enough. A namespace that does not exist or may not be read has no engine, and the replica becomes ready nevertheless.
type engineWatcher struct {
	api engineAPI
	log *slog.Logger
	// changed is called with every new state.
	changed func(engineState)

	mu         sync.Mutex
	namespaces map[string]*watchedNamespace
	dirty      chan struct{}
}

// watchedNamespace is a namespace that the watcher reads.
type watchedNamespace struct {
	engineCache
	err error // the last failure of a watch, before all were synced
	// forbidden is true if the service account may not read the namespace. Any other failure is temporary, and readiness waits
	// for it to pass.
	forbidden bool
	// known is true once decisions use what was read, or know that reading is forbidden.
	known bool
}

// newEngineWatcher returns a watcher that watches nothing yet.
func newEngineWatcher(api engineAPI, log *slog.Logger, changed func(engineState)) *engineWatcher {
	return &engineWatcher{
		api: api, log: log, changed: changed,
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

func (w *engineWatcher) watch(namespace string) *watchedNamespace {
	watched := &watchedNamespace{}
	watched.start(w.api, namespace, engineEvents{
		change: w.handler(), failure: func(err error) { w.failed(watched, namespace, err) }, synced: w.touch,
	})
	return watched
}

// handler returns an event handler that asks for a new state after each change that matters.
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

// ready is the readiness check that every wanted namespace has been read, or may not be read.
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

// state reads the caches. It also returns the namespaces that have been read or may not be read.
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
