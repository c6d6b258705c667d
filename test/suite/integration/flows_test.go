package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// flowPatience is more than Tekton and Argo take to start, or to try again, on a machine with other things to do.
const flowPatience = 2 * time.Minute

// flowModule returns the folder of the module whose controllers a program of test/rig runs.
func flowModule(t *testing.T, rig, module string) string {
	t.Helper()
	needsRunners(t)
	source, err := tools.ModuleSource(t.Context(), rig, module)
	require.NoError(t, err)
	return source
}

// startFlow installs custom resources and runs a program of test/rig, which has the controllers for them, until the test ends.
func startFlow(t *testing.T, rig, namespace, definitions string) {
	t.Helper()
	dir, err := tools.Build(t.Context(), os.Stderr, "rig/"+rig, rig)
	require.NoError(t, err)
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, text := range flowFiles(t, definitions) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		require.NoError(t, yaml.Unmarshal(text, crd))
		crd.Spec.Conversion = nil // by a webhook that nobody serves
		crds = append(crds, crd)
	}
	_, err = envtest.InstallCRDs(shared.Config(), envtest.CRDInstallOptions{CRDs: crds})
	require.NoError(t, err)
	kubeconfig, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	process, err := program.Start(filepath.Join(dir, rig), "--kubeconfig", kubeconfig, "--namespace", namespace)
	require.NoError(t, err)
	t.Cleanup(func() {
		err := process.Stop()
		if t.Failed() {
			t.Log(err, process.Log())
		}
	})
}

// flowFiles returns what is in the files of a pattern, of which there is one at least.
func flowFiles(t *testing.T, pattern string) (texts [][]byte) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts = append(texts, text)
	}
	return texts
}

// createFlow creates an object of YAML in a namespace.
func createFlow(t *testing.T, namespace, name, manifest string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &object.Object))
	system := inject.SystemTekton
	if object.GroupVersionKind().Group == "argoproj.io" {
		system = inject.SystemArgo
	}
	aboutOwnCode(t, system)
	object.SetNamespace(namespace)
	object.SetName(name)
	require.NoError(t, shared.Client().Create(t.Context(), object))
	return object
}

// readFlow reads an object again and decodes its status.
func readFlow(ctx context.Context, object *unstructured.Unstructured, status any) error {
	if err := shared.Client().Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return err
	}
	text, err := json.Marshal(object.Object["status"])
	if err != nil {
		return err
	}
	return json.Unmarshal(text, status)
}

// flowSoon waits until a condition holds.
func flowSoon(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	require.NoError(t, poll.Until(t.Context(), what, tick, flowPatience, try))
}

// flowPod waits for the one pod with a label.
func flowPod(t *testing.T, namespace, label, value string) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	flowSoon(t, "a pod of "+value+" is there", func(ctx context.Context) error {
		err := shared.Client().List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{label: value})
		if err == nil && len(pods.Items) == 0 {
			err = errors.New("there is none")
		}
		return err
	})
	require.Len(t, pods.Items, 1)
	return &pods.Items[0]
}

func flowPods(t *testing.T, namespace string) int {
	t.Helper()
	var pods corev1.PodList
	require.NoError(t, shared.Client().List(t.Context(), &pods, client.InNamespace(namespace)))
	return len(pods.Items)
}

// flowTargets returns the containers that have an engine, init containers too, and requires that those have all that it takes.
func flowTargets(t *testing.T, pod *corev1.Pod) (names []string) {
	t.Helper()
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		variables, mounts := map[string]string{}, map[string]string{}
		for _, e := range c.Env {
			variables[e.Name] = e.Value
		}
		for _, m := range c.VolumeMounts {
			mounts[m.MountPath] = m.Name
		}
		if variables[inject.EnvRunnerHost] == "" {
			continue
		}
		require.Equal(t, socketHost, variables[inject.EnvRunnerHost])
		require.Contains(t, mounts, "/run/dagger")
		require.Contains(t, mounts, "/usr/local/bin/dagger")
		names = append(names, c.Name)
	}
	return names
}

// flowNames returns the names of containers.
func flowNames(containers []corev1.Container) (names []string) {
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names
}

// playFlow writes a pod's status in a kubelet's place: its init containers have succeeded, and the others are in a state.
func playFlow(t *testing.T, pod *corev1.Pod, phase corev1.PodPhase, state func(container string) corev1.ContainerState) {
	t.Helper()
	require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
	status := func(c corev1.Container, state corev1.ContainerState) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, State: state, Ready: state.Terminated == nil}
	}
	pod.Status = corev1.PodStatus{Phase: phase, StartTime: ptr.To(metav1.Now())}
	for _, c := range pod.Spec.InitContainers {
		pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, status(c, flowEnded(c.Name)))
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status(c, state(c.Name)))
	}
	require.NoError(t, shared.Client().Status().Update(t.Context(), pod))
}

func flowRuns(string) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
}

func flowEnded(string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
	}}
}

// flowObstacles are why no pod can be created in a new namespace, until it is removed.
var flowObstacles = map[string]func(t *testing.T, namespace string) (remove func(t *testing.T)){
	"policy": func(t *testing.T, namespace string) func(*testing.T) {
		require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
		shared.setPolicies(namespace, func() *inject.Policies {
			return inject.NewPolicies(config.FromFile("broken", []byte("broken"), config.OriginCluster), nil, nil)
		})
		return func(*testing.T) { shared.setPolicies(namespace, nil) }
	},
	"outage": func(t *testing.T, namespace string) func(*testing.T) {
		return flowWebhook(t, namespace, 1) // a port that nobody listens on
	},
	"silence": func(t *testing.T, namespace string) func(*testing.T) {
		listener, err := net.Listen("tcp", program.Loopback(0)) // connections are made, and nobody takes them
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		return flowWebhook(t, namespace, listener.Addr().(*net.TCPAddr).Port)
	},
	"quota": func(t *testing.T, namespace string) func(*testing.T) {
		require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
		none := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
		require.NoError(t, shared.CreateQuota(t.Context(), namespace, none))
		return func(t *testing.T) {
			quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: controlplane.Quota}}
			require.NoError(t, shared.Client().Delete(t.Context(), quota))
		}
	},
	"security": func(t *testing.T, namespace string) func(*testing.T) {
		const enforce = "pod-security.kubernetes.io/enforce"
		require.NoError(t, shared.CreateNamespace(t.Context(), namespace, map[string]string{enforce: "restricted"}, nil))
		shared.setPolicies(namespace, func() *inject.Policies { // what is refused is the pod, not what we add
			return inject.NewPolicies(config.FromFile("tcp", []byte(tcpPolicy("engine.ci:1")), config.OriginCluster), nil, nil)
		})
		return func(t *testing.T) {
			var ns corev1.Namespace
			require.NoError(t, shared.Client().Get(t.Context(), nsKey(namespace), &ns))
			delete(ns.Labels, enforce)
			require.NoError(t, shared.Client().Update(t.Context(), &ns))
			shared.setPolicies(namespace, nil)
		}
	},
}

// flowWebhook creates a namespace whose pods are for a webhook at a port, until our own is put in its place.
func flowWebhook(t *testing.T, namespace string, port int) (remove func(t *testing.T)) {
	t.Helper()
	at := func(port int) *admissionregistrationv1.MutatingWebhookConfiguration {
		configuration := registration.Configuration(clientConfig(port, shared.ca), releaseNamespace)
		configuration.Name += "-" + namespace
		for i := range configuration.Webhooks {
			configuration.Webhooks[i].NamespaceSelector.MatchLabels = map[string]string{corev1.LabelMetadataName: namespace}
		}
		return configuration
	}
	require.NoError(t, shared.RegisterWebhooks(t.Context(), at(port)))
	t.Cleanup(func() { require.NoError(t, shared.DeleteWebhooks(context.Background(), at(port))) })
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, map[string]string{liveLabel: namespace}, nil))
	return func(t *testing.T) { require.NoError(t, shared.RegisterWebhooks(t.Context(), at(shared.port))) }
}

// flowIs is an error unless two values are equal.
func flowIs(what, have, want string) error {
	if have != want {
		return fmt.Errorf("%s is %q, not %q", what, have, want)
	}
	return nil
}
