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
	// DefaultDrainQuietPeriod is how long the server must be without requests before it stops listening. It is longer than a
	// node takes to learn that a replica is not ready.
	DefaultDrainQuietPeriod = 10 * time.Second
	// DefaultDrainTimeout bounds the drain. With stopTimeout and a preStop hook of 5 s it leaves 10 s of a termination grace
	// period of 60 s.
	DefaultDrainTimeout = 30 * time.Second
	// stopTimeout is how long running requests have after the drain: the time to receive one, the time to send its answer, and
	// a margin.
	stopTimeout = bodyTimeout + answerTimeout + 2*time.Second
)

// drain stops a server without failing a request. Readiness fails first. The server then continues to serve, new connections
// too, until no more requests come. The API server keeps using its connections to a pod that is no longer an endpoint
// (kubernetes#127335), so each answer closes its connection: Connection: close in HTTP/1.1, which is what the API server
// speaks to Services, and GOAWAY in HTTP/2, which net/http derives from that header.
//
// Idle connections stay open until the end: closing one can lose a request that is already on its way, and the API server does
// not send it again. A connection without a request for the whole quiet period is unlikely to get one at the moment when it
// closes.
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

// outlive returns the context of servers and caches. When ctx ends, the drain begins; when the drain ends, that context does.
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

// run drains until a quiet period has passed without a request, the timeout has passed, or the server has stopped by itself.
func (d *drain) run(ended <-chan struct{}) {
	d.draining.Store(true)
	if d.quiet <= 0 || !d.begun() {
		return
	}
	d.log.Info("draining: not ready, and serving until requests cease; a second signal stops at once",
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
			d.log.Warn("the drain timed out with requests still coming: new ones will be refused", "took", time.Since(started).String())
			return
		case <-ended:
			return
		}
	}
}

// handle serves requests. While draining, each answer says that the connection closes.
func (d *drain) handle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if d.draining.Load() {
			w.Header()["Connection"] = closeConnection
			select {
			case d.requests <- struct{}{}:
			default: // the signal before this one is still pending, and is enough
			}
		}
		next.ServeHTTP(w, req)
	})
}

var closeConnection = []string{"close"}

// ready is the readiness check that the server is not draining.
func (d *drain) ready(*http.Request) error {
	if d.draining.Load() {
		return errors.New("draining: the server ends once requests cease")
	}
	return nil
}
