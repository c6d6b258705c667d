package integration

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/webhook"
)

const ownRelease = "own-release"

const ownPolicy = policyHeader + "engine: {discover: {ownNamespace: true}}\n"

// TestEnginesInThePodsOwnNamespace gives two teams an engine each in their own namespaces, under one policy that names none.
func TestEnginesInThePodsOwnNamespace(t *testing.T) {
	t.Parallel()
	l, err := newLive(t, ownRelease, "own", "--discover-own-namespace")
	if l != nil && l.Process != nil {
		defer func() {
			if err := l.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	require.NoError(t, err, "nobody may read all namespaces yet, which keeps nobody from being ready")
	for _, namespace := range []string{"own-a", "own-b", "own-none"} {
		require.NoError(t, shared.CreateNamespace(t.Context(), namespace, map[string]string{liveLabel: "own"}, nil))
	}
	install(t, "own-a", "v0.21.8-default")
	install(t, "own-b", "v0.21.8-statefulset-port")
	put(t, policyMap(ownRelease, ownPolicy))
	requireRefusedSoon(t, "own-a",
		"the service account may not read the workloads of all namespaces: the chart's value discover.ownNamespace lets it")

	grantAll(t, "own-engines", ownRelease)
	const service = "tcp://dagger-dagger-helm.own-b.svc:5678"
	requireSoon(t, func() bool { return host(try(t, "own-a")) == socketHost })
	requireSoon(t, func() bool { return host(try(t, "own-b")) == service })
	requireRefusedSoon(t, "own-none", "namespace own-none: none of the 0 workloads")

	// An upgrade in place holds for its own namespace.
	var engine appsv1.DaemonSet
	require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: "own-a", Name: "dagger-dagger-helm-engine"}, &engine))
	engine.Spec.Template.Spec.Containers[0].Image = "registry.dagger.io/engine:v0.21.9"
	require.NoError(t, shared.Client().Update(t.Context(), &engine))
	image := func(namespace string) string {
		if got := try(t, namespace); len(got.pod.Spec.InitContainers) > 0 {
			return got.pod.Spec.InitContainers[0].Image
		}
		return ""
	}
	requireSoon(t, func() bool { return image("own-a") == "registry.dagger.io/engine:v0.21.9" })
	require.Equal(t, "registry.dagger.io/engine:v0.21.8", image("own-b"))

	// The namespace's policy refines the same engine.
	put(t, policyMap("own-b", policyHeader+"env: [{name: TEAM, value: b}]\n"))
	requireSoon(t, func() bool {
		got := try(t, "own-b")
		return host(got) == service && got.pod.Spec.Containers[0].Env[len(got.pod.Spec.Containers[0].Env)-1].Name == "TEAM"
	})

	// An engine comes and goes, and another Service is seen.
	install(t, "own-none", "v0.17.2-renamed-release")
	requireSoon(t, func() bool { return image("own-none") == "registry.dagger.io/engine:v0.17.2" })
	uninstall(t, "own-none")
	requireRefusedSoon(t, "own-none", "namespace own-none: none of the 0 workloads")
	require.NoError(t, shared.Client().DeleteAllOf(t.Context(), &corev1.Service{}, client.InNamespace("own-b")))
	requireRefusedSoon(t, "own-b", "StatefulSet own-b/dagger-dagger-helm-engine offers nothing that the pod can reach")

	// The server was asked for its version, which has image volumes or has not.
	put(t, policyMap(ownRelease, ownPolicy+"cli: {delivery: image-volume}\n"))
	requireSoon(t, func() bool {
		pod := try(t, "own-a").pod
		if !shared.apiServer.imageVolumes {
			return strings.Contains(pod.Annotations[inject.AnnotationStatus], `"cliBecause":"the API server has no image volumes`)
		}
		return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
			return v.Image != nil && v.Image.Reference == "registry.dagger.io/engine:v0.21.9"
		})
	})
}

// TestOwnNamespacesAreReadOnlyWhereSwitchedOn asks for it of a webhook that has neither the flag nor the rights.
func TestOwnNamespacesAreReadOnlyWhereSwitchedOn(t *testing.T) {
	liveNamespace(t, "live-own-off", map[string]string{})
	defer func() {
		put(t, policyMap(liveRelease, config.DefaultYAML()))
		requireSoon(t, func() bool { return host(try(t, "live-own-off")) == socketHost })
	}()
	put(t, policyMap(liveRelease, ownPolicy))
	requireRefusedSoon(t, "live-own-off", "looked for only where the chart's value discover.ownNamespace is true")
}

// TestEnginesAreKnownAfterTheAPIServerWasAway starts a replica while the API server cannot be reached.
func TestEnginesAreKnownAfterTheAPIServerWasAway(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"away-release", "away-own", "away-engines"} {
		require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	}
	install(t, "away-own", "v0.21.8-default")
	install(t, "away-engines", "v0.17.2-renamed-release")
	put(t, policyMap("away-release", ownPolicy+"overrides: {fromPods: [profile]}\n", "other",
		policyHeader+"engine: {discover: {ownNamespace: false, namespace: away-engines}}\n"))
	b, certs, free := newBalancer(t), t.TempDir(), ports(t, 2)
	behind := rest.CopyConfig(shared.Config())
	behind.Host = "https://" + program.Loopback(b.port)
	kubeconfig, err := shared.Kubeconfig(behind)
	require.NoError(t, err)
	_, err = webhook.EnsureCertificate(certs)
	require.NoError(t, err)
	health := "http://" + program.Loopback(free[1])
	process := start(t, "webhook", "--kubeconfig", kubeconfig, "--release-namespace", "away-release", "--discover-own-namespace",
		"--bind-address", "127.0.0.1", "--port", strconv.Itoa(free[0]), "--cert-dir", certs, "--metrics-bind-address", "0",
		"--health-probe-bind-address", program.Loopback(free[1]), "--drain-quiet-period", "0s")
	require.NoError(t, process.WaitReady(t.Context(), health+"/healthz"))
	require.Contains(t, get(t, health+"/readyz?verbose"), "[-]caches failed")

	b.route(strings.Trim(strings.TrimPrefix(shared.Config().Host, "https:"), "/"), true)
	require.NoError(t, process.WaitReady(t.Context(), health+"/readyz"))
	s := &server{client: httpsClient(t, certs), port: free[0]}
	for image, annotations := range map[string]map[string]string{"registry.dagger.io/engine:v0.21.8": nil,
		"registry.dagger.io/engine:v0.17.2": {"dagger.io/policy": "other"}} {
		requireSoon(t, func() bool {
			_, text := s.post(t, review(t, "away-own", string(annotated("r", annotations))))
			return strings.Contains(string(readReview(t, text).Patch), image)
		})
	}
	checks := regexp.MustCompile(`\[\+](.+) ok`).FindAllStringSubmatch(get(t, health+"/readyz?verbose"), -1)
	require.GreaterOrEqual(t, len(checks), 7)
	for _, check := range checks {
		require.Regexp(t, `^[a-z-]+$`, check[1], "a check can be asked for by its path")
		require.NoError(t, process.WaitReady(t.Context(), health+"/readyz/"+check[1]))
	}
}
