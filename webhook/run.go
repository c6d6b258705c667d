package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	policy "github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// Options is what a server needs.
type Options struct {
	// Host is the address to listen on; empty is every address.
	Host string
	// Port is the port to serve admission reviews on, from 1 to 65535.
	Port int
	// CertDir is the folder with tls.crt and tls.key. The server waits for them, and reads them again when they change.
	CertDir string
	// ReleaseNamespace is where the cluster's policy is, in the ConfigMap dagger-inject-policy; those of other namespaces
	// refine it there. It is not needed where Policies is set.
	ReleaseNamespace string
	// Policies returns the policies that hold in a namespace, in place of ConfigMaps. It is called for every request.
	Policies func(namespace string) *inject.Policies
	// Events says whether to write events about pods that cannot be injected. Instance names this replica in them.
	Events   bool
	Instance string
	// NodeIPv6 says that the nodes' addresses are IPv6, as the webhook's own is.
	NodeIPv6 bool
	// ImageVolumes reports whether the API server has image volumes. If it is nil, Run asks the server from time to time.
	ImageVolumes func() bool
	// Ready returns which pods of engines are ready. If it is nil, Run reads them where a policy places pods by cache.
	Ready func() engine.Ready
	// DiscoverOwnNamespace reads the workloads of all namespaces, for policies that look for the engine in the pod's own.
	DiscoverOwnNamespace bool
	// Version is this program's version.
	Version string
	// Log gets everything that is logged.
	Log *slog.Logger
	// MetricsAddress and HealthAddress are host:port; "0" turns the metrics off, an empty HealthAddress the probes.
	MetricsAddress, HealthAddress string
	// DrainQuietPeriod is how long no request must have come, once the context has ended, before the server stops listening.
	// DrainTimeout bounds the wait for that. A quiet period of 0 waits for running requests only.
	DrainQuietPeriod, DrainTimeout time.Duration
}

// Run serves with the namespaces and policies of a cluster, until ctx ends and the server is drained.
func Run(ctx context.Context, config *rest.Config, o Options) error {
	r, err := newRun(config, &o)
	if err != nil {
		return err
	}
	serving, stop := r.server.drain.outlive(ctx)
	defer stop()
	for _, prepare := range []func(context.Context) error{
		r.writeEvents, r.readPolicies, r.readServerVersion, r.readNamespaces, r.serve, r.reportReadiness,
	} {
		if err := prepare(serving); err != nil {
			return err
		}
	}
	return r.server.run(serving, r.mgr)
}

// run is a server of a cluster while it is being set up.
type run struct {
	*Options
	config  *rest.Config
	mgr     ctrl.Manager
	metrics *Metrics
	server  *server
	// checks are the readiness checks by name: the webhook listens with a certificate, has read the cluster, and is not
	// ending.
	checks map[string]healthz.Checker

	events   *EventEmitter // nil for none
	policies policySource
	feed     *policyFeed // nil if policies are not in ConfigMaps
}

func newRun(config *rest.Config, o *Options) (*run, error) {
	tuneGC()
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	// Our own limits on live reads are the only ones: client-go's, of five a second, fails a burst of new namespaces.
	config = rest.CopyConfig(config)
	config.QPS = -1
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Metrics:                 metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:  o.HealthAddress,
		Cache:                   cacheOptions(),
		MapperProvider:          newMapper,
		GracefulShutdownTimeout: ptr.To(stopTimeout),
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the manager: %w", err)
	}
	r := &run{Options: o, config: config, mgr: mgr, metrics: NewMetrics(metrics.Registry), server: newServer(o)}
	r.server.certificate.register(metrics.Registry)
	r.checks = r.server.checks()
	return r, nil
}

func (r *run) writeEvents(context.Context) error {
	if !r.Events {
		return nil
	}
	r.events = NewEventEmitter(r.mgr.GetClient(), r.Instance, r.metrics, r.Log)
	return r.mgr.Add(r.events)
}

// readPolicies sets up the reading of policies and of the engines that they look for. Policies in the options replace both.
func (r *run) readPolicies(context.Context) error {
	if r.Policies != nil {
		r.policies = fixedPolicies(r.Policies)
		return nil
	}
	store := NewPolicyStore(r.ReleaseNamespace)
	store.live = newLiveReader(r.mgr.GetAPIReader())
	api := engineAPI{r.config, r.mgr.GetScheme(), r.mgr.GetRESTMapper()}
	watcher := newEngineWatcher(api, r.Log, store.SetEngines)
	pods, err := r.readEnginePods()
	if err != nil {
		return err
	}
	store.onCluster = func(policies *inject.Policies) {
		reportIgnored(r.metrics, r.Log, policies.Ignored())
		watcher.want(policies.EngineNamespaces())
		pods.want(policies.CacheAffinityNamespaces())
	}
	if r.DiscoverOwnNamespace {
		store.ownEngines = newOwnEngines(api, r.Log)
		r.checks["own-engines"] = store.ownEngines.ready
		if err := r.mgr.Add(store.ownEngines); err != nil {
			return err
		}
	}
	if r.feed, err = newPolicyFeed(r.mgr, store); err != nil {
		return err
	}
	r.policies, r.checks["engines"] = store, watcher.ready
	r.server.handle(registration.PathValidate, &PolicyValidator{Store: store, Log: r.Log})
	return errors.Join(r.mgr.Add(r.feed), r.mgr.Add(watcher))
}

// readEnginePods sets up the reading of engines' pods.
func (r *run) readEnginePods() (*enginePods, error) {
	kind := corev1.SchemeGroupVersion.WithKind("Pod")
	client, err := apiutil.RESTClientForGVK(kind, false, false, r.config, scheme.Codecs, r.mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("reading the engines' pods: %w", err)
	}
	pods := newEnginePods(client, r.Log)
	if r.Ready == nil {
		r.Ready = pods.get
	}
	registerReadyNodes(metrics.Registry, pods.nodes)
	return pods, r.mgr.Add(pods)
}

// readServerVersion sets up the question to the API server for its version, by which it has image volumes or not. A function
// in the options replaces that.
func (r *run) readServerVersion(context.Context) error {
	if r.ImageVolumes != nil {
		return nil
	}
	version, err := newServerVersion(r.config, r.Log)
	if err != nil {
		return err
	}
	r.ImageVolumes, r.checks["server-version"] = version.imageVolumes, version.ready
	return r.mgr.Add(version)
}

func (r *run) readNamespaces(ctx context.Context) error {
	var err error
	r.checks["caches"], err = watch(ctx, r.mgr.GetCache(), r.feed)
	return err
}

func (r *run) serve(context.Context) error {
	register(r.server, r.Options, newClusterSource(r.mgr.GetCache(), r.mgr.GetAPIReader(), r.policies), r.metrics, r.events)
	return r.mgr.Add(r.server)
}

func (r *run) reportReadiness(context.Context) error {
	for name, check := range r.checks {
		if err := r.mgr.AddReadyzCheck(name, logChanges(r.Log, name, check)); err != nil {
			return err
		}
	}
	return r.mgr.AddHealthzCheck("ping", healthz.Ping)
}

// RunStandalone serves without a cluster, with the namespaces and policies of a source. It ends when ctx has ended and the
// server is drained.
func RunStandalone(ctx context.Context, o Options, source Source) error {
	tuneGC()
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	server := newServer(&o)
	register(server, &o, source, NewMetrics(prometheus.NewRegistry()), nil)
	serving, stop := server.drain.outlive(ctx)
	defer stop()
	go server.certificate.follow(serving)
	return server.Start(serving)
}

// reportIgnored counts and logs the fields of a newer chart's policy that this program does not know.
func reportIgnored(m *Metrics, log *slog.Logger, fields policy.Errors) {
	m.ignored.Set(float64(len(fields)))
	for _, field := range fields {
		log.Warn("policy field ignored", "source", field.Source, "field", field.Path, "line", field.Line)
	}
}

func (o *Options) cluster() inject.Cluster {
	return inject.Cluster{NodeIPv6: o.NodeIPv6, ImageVolumes: o.ImageVolumes != nil && o.ImageVolumes()}
}

// register serves the entries directly: controller-runtime's Register would count every request a second time, in
// histograms too coarse to use.
func register(s *server, o *Options, source Source, m *Metrics, events *EventEmitter) {
	for _, entry := range registration.Entries {
		s.handle(entry.Path, &Handler{
			Entry:   entry.Decision,
			Source:  source,
			Metrics: m,
			Log:     o.Log,
			Events:  events,
			Cluster: o.cluster,
			Ready:   o.Ready,
			Version: o.Version,
		})
	}
}
