//go:build !js

package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/webhook"
)

type webhookFlags struct {
	standalone           bool
	policy               string
	releaseNamespace     string
	port                 int
	bindAddress          string
	certDir              string
	metrics, health      string
	kubeconfig           string
	namespaceLabels      map[string]string
	namespaceAnnotations map[string]string
	logLevel             string
	hostIP               string
	kubeVersion          string
	discoverOwnNamespace bool
	drainQuietPeriod     time.Duration
	drainTimeout         time.Duration
	events               bool
}

func newWebhookCommand(s streams) *cobra.Command {
	var f webhookFlags
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Serve the admission webhook",
		Long: `Serve the admission webhook over TLS 1.3, at /inject/pod and /inject/namespace.

In a cluster it reads namespaces, LimitRanges and policy ConfigMaps, and serves metrics and probes. With --standalone it needs no
cluster: every namespace has the labels of --namespace-labels, and the command writes a self-signed certificate into an empty
--cert-dir.

It is ready once it has a certificate, listens, and has read the cluster; /readyz?verbose says what is missing. It waits for a
certificate that does not exist yet. On SIGTERM readiness fails first. It goes on serving, and closes each connection after its
answer, until no request has come for --drain-quiet-period; only then does it stop listening.
A second signal stops it at once.`,
		Example: `  # In a cluster
  dagger-inject webhook --release-namespace dagger-inject --cert-dir /etc/webhook/certs

  # Without one: post a recorded AdmissionReview and read the answer
  dagger-inject webhook --standalone --port 8443 --cert-dir certs &
  curl --cacert certs/tls.crt -H 'Content-Type: application/json' --data @review.json https://localhost:8443/inject/pod`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveWebhook(cmd, s, &f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.standalone, "standalone", false, "serve without a cluster, on the loopback address unless --bind-address is given")
	flags.StringVar(&f.policy, "policy", "", "file with the one policy that holds everywhere, in place of ConfigMaps")
	flags.StringVar(&f.releaseNamespace, "release-namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), "dagger-inject"),
		"namespace with the cluster's policy, in the ConfigMap "+config.ConfigMapName+"; those of other namespaces refine it there")
	flags.IntVar(&f.port, "port", 10250, "port to serve admission reviews on")
	flags.StringVar(&f.bindAddress, "bind-address", "", "IP address to listen on (default: every address, or 127.0.0.1 with --standalone)")
	flags.StringVar(&f.certDir, "cert-dir", "/etc/dagger-inject/certs",
		"folder with tls.crt and tls.key; the webhook waits for them, and reads them again when they change")
	flags.StringVar(&f.metrics, "metrics-bind-address", ":8080", "address to serve /metrics on; 0 turns it off")
	flags.StringVar(&f.health, "health-probe-bind-address", ":8081", "address to serve /healthz and /readyz on")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", kubeconfigHelp)
	flags.StringToStringVar(&f.namespaceLabels, "namespace-labels", nil, "with --standalone: labels that every namespace has")
	flags.StringToStringVar(&f.namespaceAnnotations, "namespace-annotations", nil, "with --standalone: annotations that every namespace has")
	flags.StringVar(&f.hostIP, "host-ip", os.Getenv("HOST_IP"),
		"address of this pod's node (status.hostIP), which shows the nodes' address family (default: $HOST_IP; IPv4 without it)")
	flags.StringVar(&f.kubeVersion, "kube-version", defaultKubeVersion, "with --standalone: "+kubeVersionHelp)
	flags.BoolVar(&f.discoverOwnNamespace, "discover-own-namespace", false,
		"let policies look for the engine in the pod's own namespace (engine.discover.ownNamespace); "+
			"the webhook then reads the workloads and Services of all namespaces")
	flags.DurationVar(&f.drainQuietPeriod, "drain-quiet-period", webhook.DefaultDrainQuietPeriod,
		"on SIGTERM, serve on until no request has come for this long (default with --standalone: 0s, which waits for running requests only)")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", webhook.DefaultDrainTimeout,
		"longest wait for the quiet period; keep it 20s below the pod's terminationGracePeriodSeconds less its preStop hook")
	flags.BoolVar(&f.events, "events", true,
		"write events about pods that cannot be injected, on their controller or namespace; at most a few a second")
	flags.StringVar(&f.logLevel, "log-level", "info", "lowest level that is logged: debug, info, warn or error")
	return cmd
}

func serveWebhook(cmd *cobra.Command, s streams, f *webhookFlags) error {
	options, err := f.options(cmd, s)
	if err != nil {
		return err
	}
	if f.standalone {
		return serveStandalone(cmd, s, f, options)
	}
	return serveCluster(cmd, f, options)
}

// options returns what the server needs, with a cluster and without.
func (f *webhookFlags) options(cmd *cobra.Command, s streams) (webhook.Options, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return webhook.Options{}, badInputf("--log-level %q is not accepted: accepted is debug, info, warn or error", f.logLevel)
	}
	if f.port < 1 || f.port > 65535 {
		return webhook.Options{}, badInputf("--port %d is not accepted: want 1 to 65535", f.port)
	}
	hostIP := net.ParseIP(f.hostIP)
	if f.hostIP != "" && hostIP == nil {
		return webhook.Options{}, badInputf("--host-ip %q is not an IP address", f.hostIP)
	}
	if f.standalone && !cmd.Flags().Changed("drain-quiet-period") {
		f.drainQuietPeriod = 0 // no load balancer follows its readiness
	}
	if f.drainQuietPeriod < 0 || f.drainTimeout < f.drainQuietPeriod {
		return webhook.Options{}, badInputf("--drain-quiet-period %s and --drain-timeout %s are not accepted: "+
			"want 0s or more, and the time-out no shorter than the quiet period", f.drainQuietPeriod, f.drainTimeout)
	}
	return webhook.Options{
		NodeIPv6:         hostIP != nil && hostIP.To4() == nil,
		Host:             f.bindAddress,
		Port:             f.port,
		CertDir:          f.certDir,
		Version:          version,
		Log:              slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: level})),
		MetricsAddress:   f.metrics,
		HealthAddress:    f.health,
		DrainQuietPeriod: f.drainQuietPeriod,
		DrainTimeout:     f.drainTimeout,
	}, nil
}

// changedFlag returns the first of these flags that the command line sets, or "".
func changedFlag(cmd *cobra.Command, flags ...string) string {
	for _, flag := range flags {
		if cmd.Flags().Changed(flag) {
			return flag
		}
	}
	return ""
}

func serveCluster(cmd *cobra.Command, f *webhookFlags, options webhook.Options) error {
	if flag := changedFlag(cmd, "namespace-labels", "namespace-annotations", "kube-version"); flag != "" {
		return badInputf("--%s goes with --standalone: in a cluster, the webhook reads it there", flag)
	}
	if f.policy != "" {
		policies, err := loadPolicies(f.policy, "", nil)
		if err != nil {
			return err
		}
		options.Policies = func(string) *inject.Policies { return policies }
	}
	options.ReleaseNamespace, options.DiscoverOwnNamespace, options.Events = f.releaseNamespace, f.discoverOwnNamespace, f.events
	var err error
	if options.Instance, err = os.Hostname(); err != nil {
		return fmt.Errorf("finding this replica's name: %w", err)
	}
	restConfig, err := (&clusterAccess{kubeconfig: f.kubeconfig}).config()
	if err != nil {
		return fmt.Errorf("%w (--standalone serves without a cluster)", err)
	}
	return webhook.Run(cmd.Context(), restConfig, options)
}

func serveStandalone(cmd *cobra.Command, s streams, f *webhookFlags, options webhook.Options) error {
	if flag := changedFlag(cmd, "metrics-bind-address", "health-probe-bind-address", "kubeconfig", "release-namespace",
		"discover-own-namespace", "events"); flag != "" {
		return badInputf("--%s does not go with --standalone, which serves reviews and nothing else", flag)
	}
	policies, err := loadPolicies(f.policy, "", nil)
	if err != nil {
		return err
	}
	imageVolumes, err := hasImageVolumes(f.kubeVersion)
	if err != nil {
		return err
	}
	options.ImageVolumes = func() bool { return imageVolumes }
	source := webhook.Static{Labels: f.namespaceLabels, Annotations: f.namespaceAnnotations, Policies: policies}
	if options.Host == "" {
		options.Host = "127.0.0.1"
	}
	if !cmd.Flags().Changed("cert-dir") {
		options.CertDir = "certs"
	}
	made, err := webhook.EnsureCertificate(options.CertDir)
	if err != nil {
		return err
	}
	if made {
		_, _ = fmt.Fprintf(s.err, "made a self-signed certificate for localhost in %s\n", options.CertDir)
	}
	_, _ = fmt.Fprintf(s.err, "serving on https://%s; try:\n"+
		"  curl --cacert %s/tls.crt -H 'Content-Type: application/json' --data @review.json https://localhost:%d%s\n",
		net.JoinHostPort(options.Host, strconv.Itoa(options.Port)), options.CertDir, options.Port, registration.PathPod)
	return webhook.RunStandalone(cmd.Context(), options, source)
}
