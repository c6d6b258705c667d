package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	// PathPod is where the entry pod.inject.dagger.io is served.
	PathPod = "/inject/pod"
	// PathNamespace is where the entry namespace.inject.dagger.io is served.
	PathNamespace = "/inject/namespace"
)

// Options is what a server needs.
type Options struct {
	// Host is the address to listen on; empty is every address.
	Host string
	// Port is the port to serve admission reviews on, from 1 to 65535.
	Port int
	// CertDir is the folder with tls.crt and tls.key. Both are read again when they change.
	CertDir string
	// Policy returns the policy that holds in a namespace. It is called for every request and must be fast.
	Policy func(namespace string) *inject.Policy
	// Version is this program's version.
	Version string
	// Log gets everything that is logged.
	Log *slog.Logger
	// MetricsAddress and HealthAddress are host:port; "0" turns the metrics off, an empty HealthAddress the probes.
	MetricsAddress, HealthAddress string
}

// Run serves with what the cluster knows of namespaces, until ctx ends.
func Run(ctx context.Context, config *rest.Config, o Options) error {
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	server, shared := newServer(&o), true
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress: o.HealthAddress,
		WebhookServer:          server,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// Nothing here writes what it reads, so the cache need not copy on every read.
			ByObject: map[client.Object]cache.ByObject{namespaceType(): {UnsafeDisableDeepCopy: &shared}},
		},
	})
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	informer, err := mgr.GetCache().GetInformer(ctx, namespaceType(), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching namespaces: %w", err)
	}
	// The manager starts its webhook server only once it was asked for.
	mgr.GetWebhookServer()
	register(server.Options.WebhookMux, &o, newClusterNamespaces(mgr.GetCache(), mgr.GetAPIReader()), NewMetrics(metrics.Registry))
	// Ready is listening with a certificate, and knowing the namespaces: controller-runtime starts webhooks before caches.
	checks := map[string]healthz.Checker{
		"webhook": server.StartedChecker(),
		"namespaces": func(*http.Request) error {
			if !informer.HasSynced() {
				return errors.New("the namespaces are not read yet")
			}
			return nil
		},
	}
	for name, check := range checks {
		if err := mgr.AddReadyzCheck(name, check); err != nil {
			return err
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// RunStandalone serves without a cluster: every namespace is as namespaces says. It ends when ctx does.
func RunStandalone(ctx context.Context, o Options, namespaces Namespaces) error {
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	server := newServer(&o)
	register(server.Options.WebhookMux, &o, namespaces, NewMetrics(prometheus.NewRegistry()))
	return server.Start(ctx)
}

func newServer(o *Options) *ctrlwebhook.DefaultServer {
	return &ctrlwebhook.DefaultServer{Options: ctrlwebhook.Options{
		Host:       o.Host,
		Port:       o.Port,
		CertDir:    o.CertDir,
		CertName:   certFile,
		KeyName:    keyFile,
		TLSOpts:    []func(*tls.Config){func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }},
		WebhookMux: http.NewServeMux(),
	}}
}

// register serves both entries on mux directly: controller-runtime's Register would count every request a second time, in
// histograms too coarse to use.
func register(mux *http.ServeMux, o *Options, namespaces Namespaces, m *Metrics) {
	for path, entry := range map[string]inject.Entry{PathPod: inject.EntryPod, PathNamespace: inject.EntryNamespace} {
		mux.Handle(path, &Handler{
			Entry:      entry,
			Policy:     o.Policy,
			Namespaces: namespaces,
			Metrics:    m,
			Log:        o.Log,
			Version:    o.Version,
		})
	}
}
