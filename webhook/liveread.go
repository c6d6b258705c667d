package webhook

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// liveRate is how many live reads of one sort all requests together may make per second, and liveBurst how many at once.
	liveRate  = 50
	liveBurst = 100
	// maxWaiting bounds how many objects can wait for a read while the limit is used up.
	maxWaiting = 512
	// waitStep is the interval at which a waiting request checks the cache and the limit.
	waitStep = 50 * time.Millisecond
	// missTTL is how long the reader remembers that an object does not exist.
	missTTL = time.Second
)

// liveReader reads objects of one sort from the API server, within a rate limit of its own.
type liveReader struct {
	live  client.Reader
	limit *rate.Limiter
	reads singleflight.Group // one live read at a time for each object
	now   func() time.Time

	waiting chan struct{}

	mu     sync.Mutex
	misses map[types.NamespacedName]miss
}

type miss struct {
	at  time.Time
	err error
}

func newLiveReader(live client.Reader) *liveReader {
	return &liveReader{
		live: live, limit: rate.NewLimiter(liveRate, liveBurst), now: time.Now,
		waiting: make(chan struct{}, maxWaiting), misses: map[types.NamespacedName]miss{},
	}
}

// read reads one object. Concurrent requests for the same object, such as for a burst of pods in a new namespace, share the
// read and the wait for the rate limit. While it waits, read calls cached, which looks the object up in a cache and reports
// whether it was found.
func (l *liveReader) read(ctx context.Context, key types.NamespacedName, into client.Object, cached func() bool) error {
	if err := l.missed(key); err != nil {
		return err
	}
	result, err, _ := l.reads.Do(key.String(), func() (any, error) {
		// Do not use the first caller's context: others wait for the same result.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), liveTimeout)
		defer cancel()
		if err := l.wait(ctx, cached); err != nil {
			return nil, err
		}
		object := into.DeepCopyObject().(client.Object)
		err := l.live.Get(ctx, key, object)
		if apierrors.IsNotFound(err) {
			l.remember(key, err)
		}
		return object, err
	})
	switch {
	case err == nil:
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(result).Elem())
	case errors.Is(err, errCached) && cached():
		return nil
	}
	return err
}

var (
	errTooManyReads = errors.New("not in the cache, and too many live reads already")
	errCached       = errors.New("the cache has it by now")
)

// wait waits until the rate limit allows a read.
func (l *liveReader) wait(ctx context.Context, cached func() bool) error {
	if l.limit.Allow() {
		return nil
	}
	select {
	case l.waiting <- struct{}{}:
		defer func() { <-l.waiting }()
	default:
		return errTooManyReads
	}
	step := time.NewTicker(waitStep)
	defer step.Stop()
	for {
		select {
		case <-ctx.Done():
			return errTooManyReads
		case <-step.C:
		}
		switch {
		case cached():
			return errCached
		case l.limit.Allow():
			return nil
		}
	}
}

// missed returns the error of a recent read that found nothing, or nil.
func (l *liveReader) missed(key types.NamespacedName) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.misses[key]; l.now().Sub(m.at) < missTTL {
		return m.err
	}
	return nil
}

// remember records a miss and drops old ones. The rate limit bounds how many there are.
func (l *liveReader) remember(key types.NamespacedName, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for k, m := range l.misses {
		if now.Sub(m.at) >= missTTL {
			delete(l.misses, k)
		}
	}
	l.misses[key] = miss{now, err}
}
