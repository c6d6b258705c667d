package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// certificatePoll is how often follow looks for a certificate that does not exist yet.
const certificatePoll = 500 * time.Millisecond

// certificate is the serving certificate. It may arrive after the start, as from cert-manager, and is read again when it
// changes.
type certificate struct {
	dir    string
	log    *slog.Logger
	loaded chan struct{} // closed once there is one
	// watcher has the certificate that is served now.
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

func newCertificate(dir string, log *slog.Logger) *certificate {
	return &certificate{dir: dir, log: log, loaded: make(chan struct{})}
}

// follow waits for the certificate and then follows it, until ctx ends.
func (c *certificate) follow(ctx context.Context) {
	for {
		watcher := c.wait(ctx)
		if watcher == nil {
			return
		}
		if c.watcher.Swap(watcher) == nil {
			close(c.loaded)
		}
		// The watcher gives up if the files vanish as it starts. The server keeps serving the loaded certificate, and follow
		// waits for the files again.
		err := watcher.Start(ctx)
		if ctx.Err() != nil {
			return
		}
		c.log.Warn("the certificate is not followed: trying again", "error", err)
	}
}

// wait returns once the certificate can be loaded, or with nil if ctx ends first. It logs once why it cannot.
func (c *certificate) wait(ctx context.Context) (watcher *certwatcher.CertWatcher) {
	var last string
	_ = wait.PollUntilContextCancel(ctx, certificatePoll, true, func(context.Context) (bool, error) {
		var err error
		if watcher, err = certwatcher.New(filepath.Join(c.dir, certFile), filepath.Join(c.dir, keyFile)); err == nil {
			return true, nil
		}
		if last != err.Error() {
			last = err.Error()
			c.log.Warn("waiting for a certificate", "dir", c.dir, "error", err)
		}
		return false, nil
	})
	return watcher
}

// get returns the certificate to serve, in the form that tls.Config needs.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	watcher := c.watcher.Load()
	if watcher == nil {
		return nil, fmt.Errorf("no certificate is loaded from %s", c.dir)
	}
	return watcher.GetCertificate(hello)
}

// expiry returns when the served certificate expires, and false if there is none.
func (c *certificate) expiry() (time.Time, bool) {
	shown, err := c.get(nil)
	if err != nil {
		return time.Time{}, false
	}
	return shown.Leaf.NotAfter, true
}

// ready is the readiness check that there is a certificate which clients can accept.
func (c *certificate) ready(*http.Request) error {
	switch expiry, loaded := c.expiry(); {
	case !loaded:
		return errors.New("no certificate yet: waiting for " + filepath.Join(c.dir, certFile) + " and " + keyFile)
	case time.Now().After(expiry):
		return fmt.Errorf("the certificate in %s expired at %s", c.dir, expiry.UTC().Format(time.RFC3339))
	}
	return nil
}

// register registers the metric of the certificate in r.
func (c *certificate) register(r prometheus.Registerer) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dagger_inject_certificate_expiry_timestamp_seconds",
		Help: "When the certificate that is served expires, in seconds since 1970; 0 while there is none.",
	}, func() float64 {
		expiry, loaded := c.expiry()
		if !loaded {
			return 0
		}
		return float64(expiry.Unix())
	}))
}
