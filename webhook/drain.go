package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// DefaultDrainQuietPeriod is how long no request must have come before the server stops listening: longer than it takes
	// a node to learn that a replica is not ready.
	DefaultDrainQuietPeriod = 10 * time.Second
	// DefaultDrainTimeout bounds the drain. With stopTimeout and a preStop hook of 5 s it leaves 10 s of a termination grace
	// period of 60 s.
	DefaultDrainTimeout = 30 * time.Second
	// stopTimeout is how long requests that are being answered have once the drain is over: what one may take to arrive and
	// its answer to be read, and a little.
	stopTimeout = bodyTimeout + answerTimeout + 2*time.Second
)

// drain lets a server end without failing a request. Readiness goes first; then it serves on, new connections too, until
// nobody asks any more. The API server keeps connections and goes on using those to a pod that is no longer an endpoint
// (kubernetes#127335), so each answer closes the one it goes out on: Connection: close in HTTP/1.1, which is what the API server
// speaks to Services, and GOAWAY in HTTP/2, which net/http makes of that header.
//
// Idle connections are left alone until the end: closing one can meet a request that is under way on it, which nobody sends
// again. One that was not used for the quiet period is unlikely to be used in the very moment in which it is closed.
type drain struct {
	quiet, timeout time.Duration
	log            *slog.Logger

	serving  chan struct{} // closed once the server serves
	draining atomic.Bool
	requests chan struct{}
}

func newDrain(o *Options) *drain {
	return &drain{
		quiet: o.DrainQuietPeriod, timeout: o.DrainTimeout, log: o.Log,
		serving: make(chan struct{}), requests: make(chan struct{}, 1),
	}
}

// outlive returns the context that servers and caches run on. It ends once the drain is over that begins as ctx ends.
func (d *drain) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		defer stop()
		d.run(serving.Done())
	})
	return serving, func() {
		forget()
		stop()
	}
}

// begun reports whether the server has ever served.
func (d *drain) begun() bool {
	select {
	case <-d.serving:
		return true
	default:
		return false
	}
}

// run drains, until the quiet period has passed without a request, the time is up, or the server has ended by itself.
func (d *drain) run(ended <-chan struct{}) {
	d.draining.Store(true)
	if d.quiet <= 0 || !d.begun() {
		return
	}
	d.log.Info("draining: not ready, and serving on until requests cease; a second signal ends at once",
		"quietPeriod", d.quiet.String(), "timeout", d.timeout.String())
	started := time.Now()
	quiet, timeout := time.NewTimer(d.quiet), time.NewTimer(d.timeout)
	defer quiet.Stop()
	defer timeout.Stop()
	for {
		select {
		case <-d.requests:
			quiet.Reset(d.quiet)
		case <-quiet.C:
			d.log.Info("drained", "took", time.Since(started).String())
			return
		case <-timeout.C:
			d.log.Warn("requests still come: the drain ends nevertheless, and new ones will be refused", "took", time.Since(started).String())
			return
		case <-ended:
			return
		}
	}
}

// handle serves requests, and while draining says in each answer that the connection closes.
func (d *drain) handle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if d.draining.Load() {
			w.Header()["Connection"] = closeConnection
			select {
			case d.requests <- struct{}{}:
			default: // the one before is not taken in yet, and says the same
			}
		}
		next.ServeHTTP(w, req)
	})
}

var closeConnection = []string{"close"}

// ready is the check that the server is not draining.
func (d *drain) ready(*http.Request) error {
	if d.draining.Load() {
		return errors.New("draining: the server ends once requests cease")
	}
	return nil
}
