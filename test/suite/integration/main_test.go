// Package integration runs the webhook behind a real kube-apiserver, over TLS, on pods that real controllers made.
package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/testmain"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// shared is one control plane with our webhook registered, for all tests.
var shared struct {
	*controlplane.ControlPlane
	*server
	apiServer apiServer
}

// temporary is a folder that goes away with the tests.
var temporary string

func TestMain(m *testing.M) {
	os.Exit(testmain.Run(m, startShared))
}

func startShared(ctx context.Context) (stop func() error, err error) {
	audit, err := auditPolicy()
	if err != nil {
		return nil, err
	}
	if shared.ControlPlane, err = controlplane.Start(ctx, controlplane.Options{Output: os.Stderr, AuditPolicy: audit}); err != nil {
		return nil, err
	}
	if temporary, err = os.MkdirTemp("", "integration-"); err != nil {
		return shared.Stop, err
	}
	stop = func() error {
		stopLive()
		return errors.Join(os.RemoveAll(temporary), shared.Stop())
	}
	if shared.apiServer, err = askVersion(shared.ControlPlane); err != nil {
		return stop, err
	}
	if shared.server, err = startServer(ctx, shared.ControlPlane, temporary); err != nil {
		return stop, err
	}
	return stop, shared.RegisterWebhooks(ctx, shared.configuration())
}

// auditPolicy is the documented one, and one rule more: what the live webhook asks of the API server.
func auditPolicy() (string, error) {
	documented, err := os.ReadFile("../../../docs/audit-policy.yaml")
	return strings.Replace(string(documented), "- level: None", `- level: Metadata
  users: ["system:serviceaccount:live-release:default"]
- level: None`, 1), err
}

// server is our webhook in this process, with a policy for each namespace.
type server struct {
	port     int
	ca       []byte
	client   *http.Client
	mu       sync.RWMutex
	policies map[string]func() *inject.Policies
	asked    map[string]int
	logs     *program.Log
	ready    atomic.Pointer[engine.Ready]
}

// readyEngines returns which engines the webhook takes for ready.
func (s *server) readyEngines() engine.Ready {
	if ready := s.ready.Load(); ready != nil {
		return *ready
	}
	return nil
}

// releaseNamespace is where the webhook pretends to run.
const releaseNamespace = "dagger-inject"

func startServer(ctx context.Context, cp *controlplane.ControlPlane, dir string) (*server, error) {
	s := &server{policies: map[string]func() *inject.Policies{}, asked: map[string]int{}, logs: &program.Log{}}
	if _, err := webhook.EnsureCertificate(dir); err != nil {
		return nil, err
	}
	var err error
	if s.ca, err = os.ReadFile(filepath.Join(dir, "tls.crt")); err != nil {
		return nil, err
	}
	free, err := program.FreePorts(1)
	if err != nil {
		return nil, err
	}
	s.port = free[0]
	builtIn := inject.NewPolicies(config.BuiltIn(), nil, nil)
	go func() {
		err := webhook.Run(ctx, cp.Config(), webhook.Options{
			Host: "127.0.0.1", Port: s.port, CertDir: dir, Version: "dev",
			Policies:       func(namespace string) *inject.Policies { return s.policiesOf(namespace, builtIn) },
			Ready:          s.readyEngines,
			Log:            slog.New(slog.NewJSONHandler(s.logs, nil)),
			MetricsAddress: "0",
			ImageVolumes:   func() bool { return shared.apiServer.imageVolumes }, // tests do not wait for it to be asked for
		})
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "the webhook ended:", err)
		}
	}()
	s.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool(s.ca), MinVersion: tls.VersionTLS13},
		ForceAttemptHTTP2: true,
	}}
	for range 200 {
		conn, err := net.DialTimeout("tcp", program.Loopback(s.port), time.Second)
		if err == nil {
			return s, conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("the webhook does not listen:\n%s", s.logs.String())
}

func (s *server) policiesOf(namespace string, otherwise *inject.Policies) *inject.Policies {
	s.mu.Lock()
	s.asked[namespace]++
	policies := s.policies[namespace]
	s.mu.Unlock()
	if policies != nil {
		return policies()
	}
	return otherwise
}

// setPolicies makes policies hold in one namespace.
func (s *server) setPolicies(namespace string, policies func() *inject.Policies) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[namespace] = policies
}

// calls returns how often a decision was made for a namespace.
func (s *server) calls(namespace string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.asked[namespace]
}

func (s *server) configuration() *admissionregistrationv1.MutatingWebhookConfiguration {
	c := registration.Configuration(clientConfig(s.port, s.ca), releaseNamespace)
	for i := range c.Webhooks {
		c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: liveLabel, Operator: metav1.LabelSelectorOpDoesNotExist})
	}
	return c
}

func clientConfig(port int, ca []byte) func(string) admissionregistrationv1.WebhookClientConfig {
	return func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{
			URL: ptr.To(fmt.Sprintf("https://localhost:%d%s", port, path)), CABundle: ca,
		}
	}
}

// post sends a body to the webhook entry for labelled pods and returns the answer.
func (s *server) post(t *testing.T, body []byte) (int, []byte) {
	t.Helper()
	url := fmt.Sprintf("https://localhost:%d%s", s.port, registration.PathPod)
	response, err := s.client.Post(url, "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, text
}
