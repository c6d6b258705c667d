package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// The servers that are compared. Each runs in a process of its own, so that its CPU time and memory are its own.
const (
	serverFloor = figures.ServerFloor // reads the request and allows it: what HTTPS and net/http cost anybody
	serverTyped = figures.ServerTyped // controller-runtime's typed defaulter, doing the same injection
	serverOurs  = figures.ServerOurs
)

var servers = []string{serverFloor, serverTyped, serverOurs}

// version is what the status annotation names.
const version = "bench"

// serve is the child process: it runs one server until its standard input ends, so that none outlives the benchmark. The
// first line on its standard output is the address of its control endpoint, or what is wrong.
func serve(server, certs string, port int, policies *inject.Policies) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	// A terminal's Ctrl-C reaches the children too; the parent ends them.
	signal.Ignore(os.Interrupt)
	address, err := startControl()
	if err != nil {
		return err
	}
	_, _ = fmt.Println(address)
	// As the program logs. The parent has opened /dev/null as standard error: every line is encoded and written.
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	switch server {
	case serverOurs:
		return webhook.RunStandalone(ctx, webhook.Options{
			Host: loopback, Port: port, CertDir: certs, Version: version, Log: log,
		}, webhook.Static{Labels: namespaceLabels, Policies: policies})
	case serverTyped:
		handler, err := newTyped(policies)
		if err != nil {
			return err
		}
		return serveOn(ctx, handler, certs, port, log)
	case serverFloor:
		return serveOn(ctx, http.HandlerFunc(allow), certs, port, log)
	}
	return fmt.Errorf("there is no server %q", server)
}

const loopback = "127.0.0.1"

// namespaceLabels are those of every pod's namespace.
var namespaceLabels = map[string]string{"kubernetes.io/metadata.name": "ci", "dagger.io/inject": "true"}

func builtInPolicies() *inject.Policies { return inject.NewPolicies(config.BuiltIn(), nil, nil) }

// policiesOf returns those of a file that holds the cluster's policy.
func policiesOf(file string) (*inject.Policies, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	policies := inject.NewPolicies(config.FromFile(file, text, config.OriginCluster), nil, nil)
	return policies, policies.Err()
}

// serveOn serves a handler at our paths with the HTTP server and the TLS settings of our own (webhook/server.go), so that
// the handler is the only difference.
func serveOn(ctx context.Context, handler http.Handler, certs string, port int, log *slog.Logger) error {
	ctrl.SetLogger(logr.FromSlogHandler(log.Handler()))
	mux := http.NewServeMux()
	for _, entry := range registration.Entries {
		mux.Handle(entry.Path, handler)
	}
	server := &ctrlwebhook.DefaultServer{Options: ctrlwebhook.Options{
		Host:       loopback,
		Port:       port,
		CertDir:    certs,
		TLSOpts:    []func(*tls.Config){func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }},
		WebhookMux: mux,
	}}
	return server.Start(ctx)
}
