package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	policy "github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// Options is what a server needs.
type Options struct {
	// Host is the address to listen on; empty is every address.
	Host string
	// Port is the port to serve admission reviews on, from 1 to 65535.
	Port int
	// CertDir is the folder with tls.crt and tls.key. They are waited for, and read again when they change.
	CertDir string
	// ReleaseNamespace is where the cluster's policy is, in the ConfigMap dagger-inject-policy; those of other namespaces
	// refine it there. It is not needed where Policies is set.
	ReleaseNamespace string
	// Policies returns the policies that hold in a namespace, in place of ConfigMaps. It is called for every request.
	Policies func(namespace string) *inject.Policies
	// Events has events written about pods that cannot be injected. Instance names this replica in them.
	Events   bool
	Instance string
	// NodeIPv6 says that the nodes' addresses are IPv6, as the webhook's own is.
	NodeIPv6 bool
	// ImageVolumes tells whether the API server has image volumes; nil asks the server, now and again.
	ImageVolumes func() bool
	// DiscoverOwnNamespace reads the workloads of all namespaces, for policies that look for the engine in the pod's own.
	DiscoverOwnNamespace bool
	// Version is this program's version.
	Version string
	// Log gets everything that is logged.
	Log *slog.Logger
	// MetricsAddress and HealthAddress are host:port; "0" turns the metrics off, an empty HealthAddress the probes.
	MetricsAddress, HealthAddress string
	// DrainQuietPeriod is how long no request must have come, once the context has ended, before the server stops listening.
	// DrainTimeout bounds how long that is waited for. 0 waits for running requests only.
	DrainQuietPeriod, DrainTimeout time.Duration

	events *EventEmitter
}

// Run serves with what the cluster knows of namespaces, until ctx ends and the server is drained.
func Run(ctx context.Context, config *rest.Config, o Options) error {
	tuneGC()
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	// Our own limit on live reads is the only one: client-go's, of five a second, fails a burst of new namespaces.
	config = rest.CopyConfig(config)
	config.QPS = -1
	server := newServer(&o)
	serving, stop := server.drain.outlive(ctx)
	defer stop()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Metrics:                 metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:  o.HealthAddress,
		Cache:                   cacheOptions(),
		MapperProvider:          newMapper,
		GracefulShutdownTimeout: ptr.To(stopTimeout),
	})
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	m := NewMetrics(metrics.Registry)
	server.certificate.register(metrics.Registry)
	// Ready is listening with a certificate, knowing the cluster, and not being about to end.
	checks := server.checks()
	var store *PolicyStore
	var feed *policyFeed
	if o.Events {
		o.events = NewEventEmitter(mgr.GetClient(), o.Instance, m, o.Log)
		if err := mgr.Add(o.events); err != nil {
			return err
		}
	}
	if o.Policies == nil {
		store = NewPolicyStore(o.ReleaseNamespace)
		watcher := newEngineWatcher(config, mgr.GetScheme(), mgr.GetRESTMapper(), o.Log, store.SetEngines)
		store.onCluster = func(policies *inject.Policies) {
			reportIgnored(m, o.Log, policies.Ignored())
			watcher.want(policies.EngineNamespaces())
		}
		if o.DiscoverOwnNamespace {
			store.own = newOwnEngines(config, mgr.GetScheme(), mgr.GetRESTMapper(), o.Log)
			checks["own-engines"] = store.own.ready
			if err := mgr.Add(store.own); err != nil {
				return err
			}
		}
		o.Policies = store.Policies
		checks["engines"] = watcher.ready
		if feed, err = newPolicyFeed(mgr, store); err != nil {
			return err
		}
		if err := errors.Join(mgr.Add(feed), mgr.Add(watcher)); err != nil {
			return err
		}
	}
	if o.ImageVolumes == nil {
		version, err := newServerVersion(config, o.Log)
		if err != nil {
			return err
		}
		if err := mgr.Add(version); err != nil {
			return err
		}
		o.ImageVolumes, checks["server-version"] = version.imageVolumes, version.ready
	}
	read, err := watch(serving, mgr.GetCache(), feed)
	if err != nil {
		return err
	}
	register(server, &o, newClusterSource(mgr.GetCache(), mgr.GetAPIReader(), o.Policies, store), m)
	if store != nil {
		server.handle(registration.PathValidate, &PolicyValidator{Store: store, Log: o.Log})
	}
	if err := mgr.Add(server); err != nil {
		return err
	}
	checks["caches"] = read
	for name, check := range checks {
		if err := mgr.AddReadyzCheck(name, logChanges(o.Log, name, check)); err != nil {
			return err
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return server.run(serving, mgr)
}

// RunStandalone serves without a cluster: what holds is as the source says. It ends when ctx does and the server is drained.
func RunStandalone(ctx context.Context, o Options, source Source) error {
	tuneGC()
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	server := newServer(&o)
	register(server, &o, source, NewMetrics(prometheus.NewRegistry()))
	serving, stop := server.drain.outlive(ctx)
	defer stop()
	go server.certificate.follow(serving)
	return server.Start(serving)
}

// reportIgnored tells of fields that a newer chart's policy has and this program does not know.
func reportIgnored(m *Metrics, log *slog.Logger, fields policy.Errors) {
	m.ignored.Set(float64(len(fields)))
	for _, field := range fields {
		log.Warn("policy field ignored", "source", field.Source, "field", field.Path, "line", field.Line)
	}
}

// register serves both entries directly: controller-runtime's Register would count every request a second time, in
// histograms too coarse to use.
func register(s *server, o *Options, source Source, m *Metrics) {
	for path, entry := range map[string]inject.Entry{registration.PathPod: inject.EntryPod, registration.PathNamespace: inject.EntryNamespace} {
		s.handle(path, &Handler{
			Entry:        entry,
			Source:       source,
			Metrics:      m,
			Log:          o.Log,
			Events:       o.events,
			NodeIPv6:     o.NodeIPv6,
			ImageVolumes: o.ImageVolumes,
			Version:      o.Version,
		})
	}
}
