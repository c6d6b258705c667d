package webhook

import (
	"context"
	"crypto/tls"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// server is controller-runtime's webhook server with a certificate that may come late and an end that fails nobody. To the
// manager it is a runnable like others and not its webhook server, which would listen before the caches are read and stop after
// them: so it listens last and stops first.
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

// Start serves once there is a certificate. When ctx ends it stops listening, and returns once every request is answered.
func (s *server) Start(ctx context.Context) error {
	select {
	case <-s.certificate.loaded:
		return s.https.Start(ctx)
	case <-ctx.Done():
		return nil
	}
}

// NeedLeaderElection says that every replica serves.
func (*server) NeedLeaderElection() bool { return false }

// checks are what has to hold of the server for it to be ready.
func (s *server) checks() map[string]healthz.Checker {
	return map[string]healthz.Checker{
		"certificate": s.certificate.ready,
		"listening":   s.https.StartedChecker(),
		"shutdown":    s.drain.ready,
	}
}
