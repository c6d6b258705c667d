package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
)

// install puts the official chart's manifests of one version into a namespace, in place of what is there.
func install(t *testing.T, namespace, chart string) {
	t.Helper()
	uninstall(t, namespace)
	upgrade(t, namespace, chart)
}

// upgrade puts the manifests of one version over those of another, as helm upgrade does.
func upgrade(t *testing.T, namespace, chart string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../data/engines", chart, "manifests.yaml"))
	require.NoError(t, err)
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return
		} else {
			require.NoError(t, err)
		}
		switch object.GetKind() {
		case "DaemonSet", "StatefulSet", "Service":
			object.SetNamespace(namespace)
			err := shared.Client().Create(t.Context(), &object)
			if apierrors.IsAlreadyExists(err) {
				have := object.DeepCopy()
				require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKeyFromObject(&object), have))
				object.SetResourceVersion(have.GetResourceVersion())
				err = shared.Client().Update(t.Context(), &object)
			}
			require.NoError(t, err)
		}
	}
}

func uninstall(t *testing.T, namespace string) {
	t.Helper()
	for _, kind := range []client.Object{&appsv1.DaemonSet{}, &appsv1.StatefulSet{}, &corev1.Service{}} {
		require.NoError(t, shared.Client().DeleteAllOf(t.Context(), kind, client.InNamespace(namespace)))
	}
}

var engineRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "statefulsets", "deployments"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list", "watch"}},
}

// grantEngines lets the live webhook read the engine's namespace: a Role there, and no ClusterRole.
func grantEngines(t *testing.T) {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: "dagger", Name: "engines"},
		Rules:      engineRules,
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: liveRelease, Name: "default"}},
	}
	require.NoError(t, shared.Client().Create(t.Context(), role))
	require.NoError(t, shared.Client().Create(t.Context(), binding))
}

// engineStep is one install or upgrade of testdata/engines.yaml, and what pods get after it.
type engineStep struct {
	Install, Upgrade      string
	Host, HostPath, Image string
	Group                 int64
	Tolerations           []corev1.Toleration
	NodeSelector          map[string]string
	NodeAffinity          []corev1.NodeSelectorTerm
	Secured, Refused      string
}

// TestTheEngineIsReadOffTheCluster installs engines with an empty policy: nobody writes a path, a port, a taint or a version.
func TestTheEngineIsReadOffTheCluster(t *testing.T) {
	liveNamespace(t, "live-engines", nil)
	secured := []string{"baseline", "restricted"}
	for _, level := range secured {
		liveNamespace(t, "live-engines-"+level, map[string]string{"pod-security.kubernetes.io/enforce": level})
	}
	defer func() {
		put(t, policyMap(liveRelease, config.DefaultYAML()))
		requireSoon(t, func() bool { return host(try(t, "live-engines")) == socketHost })
	}()
	put(t, policyMap(liveRelease, policyHeader))
	requireRefusedSoon(t, "live-engines", "the service account may not read the workloads of namespace dagger")
	require.NoError(t, shared.CreateNamespace(t.Context(), "dagger", nil, nil))
	grantEngines(t)
	requireRefusedSoon(t, "live-engines", "none of the 0 workloads has a container dagger-engine")

	text, err := os.ReadFile("testdata/engines.yaml")
	require.NoError(t, err)
	var steps []engineStep
	require.NoError(t, yaml.UnmarshalStrict(text, &steps))
	for _, step := range steps {
		t.Run(step.Install+step.Upgrade, func(t *testing.T) {
			if step.Install != "" {
				install(t, "dagger", step.Install)
			} else {
				upgrade(t, "dagger", step.Upgrade)
			}
			requireSoon(t, func() bool { return step.gaveTo(try(t, "live-engines")) })
			for _, level := range secured {
				if step.Secured == "" {
					requireRefusedSoon(t, "live-engines-"+level, step.Refused+"="+level)
					continue
				}
				requireSoon(t, func() bool {
					got := try(t, "live-engines-"+level)
					return got.code == http.StatusCreated && host(got) == step.Secured && hostPath(got) == ""
				})
			}
		})
	}
	uninstall(t, "dagger")
	requireRefusedSoon(t, "live-engines", "none of the 0 workloads")
}

// TestTheNewEngineTakesOverOnceHalfOfItIsReady has an engine of each of two versions, whose rollouts say how far they are.
func TestTheNewEngineTakesOverOnceHalfOfItIsReady(t *testing.T) {
	t.Parallel()
	l, err := newLive(t, "versions-release", "versions", "--discover-own-namespace")
	if l != nil && l.Process != nil {
		defer func() {
			if err := l.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	require.NoError(t, err)
	require.NoError(t, shared.CreateNamespace(t.Context(), "versions", map[string]string{liveLabel: "versions"}, nil))
	grantAll(t, "versions-engines", "versions-release")
	put(t, policyMap("versions-release", ownPolicy))
	upgrade(t, "versions", "two-versions")
	image := func(annotations map[string]string) string {
		got := create(t, "versions", annotated("p", annotations), "?dryRun=All")
		if len(got.pod.Spec.InitContainers) == 0 {
			return got.status.Message
		}
		return strings.TrimPrefix(got.pod.Spec.InitContainers[0].Image, "registry.dagger.io/engine:")
	}
	requireGiven := func(want string) {
		t.Helper()
		requireSoon(t, func() bool { return image(nil) == want })
	}
	engine := func(name string, change func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
		var d appsv1.DaemonSet
		require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKey{Namespace: "versions", Name: name}, &d))
		change(&d)
		return &d
	}
	ready := func(name string, ready int32) {
		d := engine(name, func(d *appsv1.DaemonSet) {
			d.Status = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation, DesiredNumberScheduled: 4, UpdatedNumberScheduled: 4,
				NumberReady: ready}
		})
		require.NoError(t, shared.Client().Status().Update(t.Context(), d))
	}
	requireGiven("v0.21.8") // nothing of either is ready
	ready("v0-20-engine", 4)
	requireGiven("v0.20.8")
	ready("v0-21-engine", 1)
	require.Equal(t, "v0.20.8", image(nil))
	require.Equal(t, "v0.21.8", image(map[string]string{"dagger.io/engine": "v0.21"}))
	require.Contains(t, image(map[string]string{"dagger.io/engine": "v0.19"}),
		"asks for v0.19, and there is v0.20.8 (DaemonSet versions/v0-20-engine), v0.21.8")
	ready("v0-21-engine", 2)
	requireGiven("v0.21.8")
	require.NoError(t, shared.Client().Update(t.Context(), engine("v0-21-engine", func(d *appsv1.DaemonSet) {
		d.Annotations = map[string]string{"dagger.io/engine": "draining"}
	})))
	requireGiven("v0.20.8")
	require.NoError(t, shared.Client().Delete(t.Context(), engine("v0-20-engine", func(*appsv1.DaemonSet) {})))
	requireSoon(t, func() bool { return strings.Contains(image(nil), "every engine is draining: v0.21.8") })
}

// grantAll lets a live webhook read the engines of all namespaces.
func grantAll(t *testing.T, name, release string) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: engineRules}
	require.NoError(t, shared.Client().Create(t.Context(), role))
	require.NoError(t, shared.Client().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: release, Name: "default"}},
	}))
}

// gaveTo reports whether a pod has what it is to have after the step.
func (s *engineStep) gaveTo(c creation) bool {
	if c.code != http.StatusCreated || host(c) != s.Host {
		return false
	}
	spec := &c.pod.Spec
	var groups []int64
	if spec.SecurityContext != nil {
		groups = spec.SecurityContext.SupplementalGroups
	}
	var terms []corev1.NodeSelectorTerm
	if spec.Affinity != nil {
		terms = spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	// The API server adds two of its own.
	tolerations := slices.DeleteFunc(spec.Tolerations,
		func(t corev1.Toleration) bool { return strings.HasPrefix(t.Key, "node.kubernetes.io/") })
	return spec.InitContainers[0].Image == s.Image && hostPath(c) == s.HostPath && slices.Contains(groups, s.Group) == (s.Group != 0) &&
		equality.Semantic.DeepEqual(tolerations, s.Tolerations) && equality.Semantic.DeepEqual(spec.NodeSelector, s.NodeSelector) &&
		equality.Semantic.DeepEqual(terms, s.NodeAffinity)
}

// hostPath returns the directory of the node that a created pod mounts, empty for none.
func hostPath(c creation) string {
	for _, volume := range c.pod.Spec.Volumes {
		if volume.HostPath != nil {
			return volume.HostPath.Path
		}
	}
	return ""
}

// try creates a pod that satisfies every Pod Security level, and keeps nothing.
func try(t *testing.T, namespace string) creation {
	t.Helper()
	pod := strings.Replace(string(annotated("p", nil)), `"spec":{`,
		`"spec":{"securityContext":{"runAsNonRoot":true,"runAsUser":1000,"seccompProfile":{"type":"RuntimeDefault"}},`, 1)
	pod = strings.ReplaceAll(pod, `"image":"i"`,
		`"image":"i","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}`)
	return create(t, namespace, []byte(pod), "?dryRun=All")
}

// requireRefusedSoon waits until pods of a namespace are refused with a reason.
func requireRefusedSoon(t *testing.T, namespace, want string) {
	t.Helper()
	requireSoon(t, func() bool {
		c := try(t, namespace)
		return c.code == http.StatusServiceUnavailable && strings.Contains(c.status.Message, want)
	})
}
