package webhook

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// server is controller-runtime's webhook server with a certificate that may arrive after the start, and a shutdown that fails
// no request. It is an ordinary runnable of the manager, not its webhook server, which would listen before the caches are read
// and stop after them: this one listens last and stops first.
type server struct {
	https       *ctrlwebhook.DefaultServer
	certificate *certificate
	drain       *drain
}

func newServer(o *Options) *server {
	s := &server{certificate: newCertificate(o.CertDir, o.Log), drain: newDrain(o)}
	s.https = &ctrlwebhook.DefaultServer{Options: ctrlwebhook.Options{
		Host: o.Host,
		Port: o.Port,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS13
			c.GetCertificate = s.certificate.get
		}},
		WebhookMux: http.NewServeMux(),
	}}
	return s
}

func (s *server) handle(path string, handler http.Handler) {
	s.https.Options.WebhookMux.Handle(path, s.drain.handle(handler))
}

// Start serves once there is a certificate. When ctx ends it stops listening, and returns when every request is answered.
func (s *server) Start(ctx context.Context) error {
	select {
	case <-s.certificate.loaded:
		close(s.drain.serving)
		return s.https.Start(ctx)
	case <-ctx.Done():
		return nil
	}
}

// run runs the manager, which starts the server, until ctx ends and the server has stopped. If the server has not begun to
// serve, run does not wait for the manager, which would not return: its runnableGroup.Start ignores a cancelled context while
// caches are being read.
func (s *server) run(ctx context.Context, mgr manager.Manager) error {
	go s.certificate.follow(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if !s.drain.begun() {
		return nil
	}
	return <-ended
}

// NeedLeaderElection says that every replica serves.
func (*server) NeedLeaderElection() bool { return false }

// checks are the server's readiness checks.
func (s *server) checks() map[string]healthz.Checker {
	return map[string]healthz.Checker{
		"certificate": s.certificate.ready,
		"listening":   s.https.StartedChecker(),
		"shutdown":    s.drain.ready,
	}
}

// logChanges returns a check that logs when it begins to fail, fails for another reason, or recovers. controller-runtime's own
// log line names neither the check nor the reason.
func logChanges(log *slog.Logger, name string, check healthz.Checker) healthz.Checker {
	var mu sync.Mutex
	var last string
	return func(req *http.Request) error {
		err := check(req)
		said := ""
		if err != nil {
			said = err.Error()
		}
		mu.Lock()
		defer mu.Unlock()
		if said != last {
			log.Info("readiness", "check", name, "ok", err == nil, "error", said)
		}
		last = said
		return err
	}
}
