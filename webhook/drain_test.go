package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

const (
	testQuiet   = 10 * time.Second
	testTimeout = 30 * time.Second
)

// draining is a server's drain on a fake clock, as a signal begins it.
type draining struct {
	*drain
	signal  context.CancelFunc
	served  context.Context
	handler http.Handler
	began   time.Time
}

func newDraining(t *testing.T) *draining {
	t.Helper()
	d := &draining{drain: newDrain(&Options{Log: slog.New(slog.DiscardHandler), DrainQuietPeriod: testQuiet, DrainTimeout: testTimeout})}
	close(d.serving)
	d.handler = d.handle(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	ctx, cancel := context.WithCancel(t.Context())
	serving, stop := d.outlive(ctx)
	t.Cleanup(stop)
	d.served = serving
	d.signal = func() {
		d.began = time.Now()
		cancel()
		synctest.Wait()
	}
	return d
}

// ask makes a request and returns what the answer says of its connection.
func (d *draining) ask(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, registration.PathPod, nil))
	synctest.Wait()
	require.Equal(t, http.StatusOK, w.Code)
	return w.Header().Get("Connection")
}

// took waits for the end of the drain and returns how long it took.
func (d *draining) took() time.Duration {
	<-d.served.Done()
	return time.Since(d.began)
}

func TestDrainBeginsWithTheSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDraining(t)
		time.Sleep(time.Hour)
		require.NoError(t, d.ready(nil))
		require.Empty(t, d.ask(t), "connections are kept")
		require.NoError(t, d.served.Err())

		d.signal()
		require.Error(t, d.ready(nil), "readiness fails first")
		require.NoError(t, d.served.Err(), "and it is served on")
		require.Equal(t, "close", d.ask(t), "each answer closes its connection")
	})
}

func TestDrainEndsAfterTheQuietPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDraining(t)
		d.signal()
		require.Equal(t, testQuiet, d.took())
	})
}

func TestDrainStartsTheQuietPeriodAgainWithARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDraining(t)
		d.signal()
		time.Sleep(7 * time.Second)
		d.ask(t)
		d.ask(t)
		time.Sleep(5 * time.Second)
		d.ask(t)
		require.Equal(t, 12*time.Second+testQuiet, d.took())
	})
}

func TestDrainEndsUnderRequestsThatNeverCease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDraining(t)
		d.signal()
		go func() {
			for {
				select {
				case <-d.served.Done():
					return
				case <-time.After(time.Second):
					d.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, registration.PathPod, nil))
				}
			}
		}()
		require.Equal(t, testTimeout, d.took())
	})
}

func TestDrainEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, began := make(chan struct{}), time.Now()
		close(ended) // the server has failed
		newDraining(t).run(ended)
		require.Zero(t, time.Since(began))
	})
}

func TestDrainWithoutAQuietPeriodEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDraining(t)
		d.quiet = 0
		d.signal()
		require.Error(t, d.served.Err())
		require.Error(t, d.ready(nil))
	})
}

func TestDrainOfAServerThatNeverServedEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		newDrain(&Options{Log: slog.New(slog.DiscardHandler), DrainQuietPeriod: testQuiet, DrainTimeout: testTimeout}).run(nil)
		require.Zero(t, time.Since(began))
	})
}

func TestDrainDefaultsLeaveTimeWithinTheGracePeriod(t *testing.T) {
	const gracePeriod, preStop = 60 * time.Second, 5 * time.Second
	require.Less(t, preStop+DefaultDrainTimeout+stopTimeout, gracePeriod)
	require.Less(t, DefaultDrainQuietPeriod, DefaultDrainTimeout)
}
