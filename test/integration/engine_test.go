package integration

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// install puts the official chart's manifests of one version into the namespace dagger, in place of what is there.
func install(t *testing.T, chart string) {
	t.Helper()
	uninstall(t)
	text, err := os.ReadFile(filepath.Join("..", "engines", chart, "manifests.yaml"))
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return
		} else {
			require.NoError(t, err)
		}
		switch object.GetKind() {
		case "DaemonSet", "StatefulSet", "Service":
			object.SetNamespace("dagger")
			require.NoError(t, shared.Client().Create(t.Context(), &object))
		}
	}
}

func uninstall(t *testing.T) {
	t.Helper()
	for _, kind := range []client.Object{&appsv1.DaemonSet{}, &appsv1.StatefulSet{}, &corev1.Service{}} {
		require.NoError(t, shared.Client().DeleteAllOf(t.Context(), kind, client.InNamespace("dagger")))
	}
}

// grantEngines lets the live webhook read the engine's namespace: a Role there, and no ClusterRole.
func grantEngines(t *testing.T) {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: "dagger", Name: "engines"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "statefulsets", "deployments"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list", "watch"}},
		},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: liveRelease, Name: "default"}},
	}
	require.NoError(t, shared.Client().Create(t.Context(), role))
	require.NoError(t, shared.Client().Create(t.Context(), binding))
}

// TestTheEngineIsReadOffTheCluster installs engines with an empty policy: nobody writes a path, a port, a taint or a version.
func TestTheEngineIsReadOffTheCluster(t *testing.T) {
	liveNamespace(t, "live-engines", nil)
	liveNamespace(t, "live-engines-baseline", map[string]string{"pod-security.kubernetes.io/enforce": "baseline"})
	defer func() {
		put(t, policyMap(liveRelease, config.DefaultYAML()))
		requireSoon(t, func() bool { return host(create(t, "live-engines", annotated("p", nil), "?dryRun=All")) == socketHost })
	}()
	try := func(namespace string) creation { return create(t, namespace, annotated("p", nil), "?dryRun=All") }
	refusedWith := func(namespace, want string) {
		t.Helper()
		requireSoon(t, func() bool {
			c := try(namespace)
			return c.code == http.StatusServiceUnavailable && strings.Contains(c.status.Message, want)
		})
	}
	put(t, policyMap(liveRelease, policyHeader))
	refusedWith("live-engines", "the service account may not read the workloads of namespace dagger")
	require.NoError(t, shared.CreateNamespace(t.Context(), "dagger", nil, nil))
	grantEngines(t)
	refusedWith("live-engines", "none of the 0 workloads has a container dagger-engine")

	cases := []struct{ chart, hostPath, file, image, baseline string }{
		{"v0.13.7-default", "/var/run/dagger", "buildkitd.sock", "v0.13.7", ""},
		{"v0.16.3-default", "/var/run/dagger", "buildkitd.sock", "v0.16.3", ""},
		{"v0.17.2-renamed-release", "/run/dagger-ci-dagger-helm", "engine.sock", "v0.17.2", ""},
		{"v0.21.8-default", "/run/dagger-dagger-dagger-helm", "engine.sock", "v0.21.8", ""},
		{"v0.21.8-hostport", "/run/dagger-dagger-dagger-helm", "engine.sock", "v0.21.8", "tcp://$(DAGGER_NODE_IP):1234"},
		{"v0.21.8-statefulset-port", "", "", "v0.21.8", "tcp://dagger-dagger-helm.dagger.svc:5678"},
	}
	for _, c := range cases {
		t.Run(c.chart, func(t *testing.T) {
			install(t, c.chart)
			want := "unix:///run/dagger/" + c.file
			if c.hostPath == "" {
				want = c.baseline
			}
			var got creation
			requireSoon(t, func() bool {
				got = try("live-engines")
				return len(got.pod.Spec.InitContainers) > 0 && host(got) == want && strings.HasSuffix(got.pod.Spec.InitContainers[0].Image, c.image)
			})
			if c.hostPath != "" {
				require.Contains(t, got.stored, `"hostPath":{"path":"`+c.hostPath+`"`)
				require.Contains(t, got.pod.Spec.SecurityContext.SupplementalGroups, int64(1001))
			}
			if c.baseline == "" {
				refusedWith("live-engines-baseline", "hostPath volumes are forbidden by the namespace's label")
				return
			}
			requireSoon(t, func() bool { return host(try("live-engines-baseline")) == c.baseline })
		})
	}

	install(t, "v0.21.8-tolerations-affinity")
	requireSoon(t, func() bool {
		got := try("live-engines")
		return got.pod.Spec.NodeSelector["pool"] == "ci" && strings.Contains(got.stored, `"key":"dagger-runner"`)
	})
	var engine appsv1.DaemonSet
	require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: "dagger", Name: "dagger-dagger-helm-engine"}, &engine))
	engine.Spec.Template.Spec.Containers[0].Image = "registry.dagger.io/engine:v0.21.9"
	require.NoError(t, shared.Client().Update(t.Context(), &engine))
	requireSoon(t, func() bool {
		got := try("live-engines")
		return strings.Contains(got.pod.Annotations[inject.AnnotationStatus], "engine:v0.21.9")
	})
	uninstall(t)
	refusedWith("live-engines", "none of the 0 workloads")
}
