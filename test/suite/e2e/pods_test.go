package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// patience is how long anything is waited for: continuous integration has two busy cores.
const patience = 3 * time.Minute

// askEngine is the job that asks the engine who it is, with the dagger of PATH.
const askEngine = "dagger core version"

// The runner systems whose pods are used, by their fixture and the container that runs the job.
var systems = map[string]struct{ fixture, job string }{
	"ARC":    {"gha-none-labelled", "runner"},
	"GitLab": {"gitlab-default", "build"},
	"Tekton": {"tekton-taskrun", "step-test"},
}

// jobPod returns a pod as a runner system creates it, with a shell in place of its images: its job container runs the script, its
// init containers do nothing, and its other containers stay. What its controller would have made is left out.
func jobPod(t *testing.T, system, namespace, script string) *corev1.Pod {
	t.Helper()
	s, ok := systems[system]
	require.True(t, ok, system)
	text, err := os.ReadFile(filepath.Join("../../data/fixtures", s.fixture, "pod.yaml"))
	require.NoError(t, err)
	pod := &corev1.Pod{}
	require.NoError(t, yaml.UnmarshalStrict(text, pod))
	pod.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, GenerateName: strings.ToLower(system) + "-", Labels: pod.Labels,
		Annotations: pod.Annotations}
	if pod.Labels["dagger.io/inject"] == "" {
		pod.Labels["dagger.io/inject"] = "true"
	}
	pod.Spec.ServiceAccountName = ""
	for i := range pod.Spec.InitContainers {
		shell(&pod.Spec.InitContainers[i], "true")
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if c.Name == s.job {
			shell(c, script)
		} else {
			shell(c, "trap exit TERM; while true; do sleep 1; done")
		}
	}
	pod.Spec.TerminationGracePeriodSeconds = new(int64) // No test is about the end of jobs.
	return pod
}

func shell(c *corev1.Container, script string) {
	c.Image, c.Command, c.Args = cluster.runner, []string{"sh", "-c", script}, nil
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil })
	// The runner's images have these folders; volumes that are mounted there make up for it.
	c.WorkingDir = ""
}

// runAs sets who the job container runs as.
func runAs(pod *corev1.Pod, uid int64) {
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &uid, RunAsGroup: &uid}
}

// newNamespace creates a namespace for a test, with a policy where one is given.
func newNamespace(t *testing.T, labels map[string]string, policy string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: labels}}
	create(t, namespace)
	eventually(t, "the service account of "+namespace.Name, func(ctx context.Context) error {
		return cluster.Get(ctx, client.ObjectKey{Namespace: namespace.Name, Name: "default"}, &corev1.ServiceAccount{})
	})
	if policy != "" {
		create(t, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "dagger-inject-policy"},
			Data:       map[string]string{"policy.yaml": "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n" + policy},
		})
	}
	return namespace.Name
}

// create creates an object and deletes it after the test.
func create(t *testing.T, object client.Object) {
	t.Helper()
	require.NoError(t, cluster.Create(t.Context(), object))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		require.NoError(t, client.IgnoreNotFound(cluster.Delete(ctx, object)))
	})
}

// createPod creates a pod as a controller does: a refusal that says 503 is tried again.
func createPod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	eventually(t, "the pod is admitted", func(ctx context.Context) error {
		err := cluster.Create(ctx, pod)
		if err != nil && !apierrors.IsServiceUnavailable(err) && !apierrors.IsInternalError(err) {
			require.NoError(t, err)
		}
		return err
	})
	t.Cleanup(func() {
		if t.Failed() {
			ctx := context.WithoutCancel(t.Context())
			_ = cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)
			t.Log(describe([]corev1.Pod{*pod}), "\nstatus:", pod.Annotations["dagger.io/status"])
		}
	})
}

// awaitJob waits until the job container has ended, and returns the pod as it is then and what the job printed.
func awaitJob(t *testing.T, pod *corev1.Pod, system string) (ended *corev1.ContainerStateTerminated, output string) {
	t.Helper()
	return awaitEnd(t, pod, systems[system].job)
}

// awaitEnd is awaitJob for a container of any name.
func awaitEnd(t *testing.T, pod *corev1.Pod, name string) (ended *corev1.ContainerStateTerminated, output string) {
	t.Helper()
	eventually(t, "the job has ended", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if s := statusOf(pod, name); s != nil && s.State.Terminated != nil {
			ended = s.State.Terminated
			return nil
		}
		return errors.New(describe([]corev1.Pod{*pod}))
	})
	return ended, logs(t, pod, name)
}

// runJob creates a pod, waits for its job, and requires that it succeeded. It returns what the job printed.
func runJob(t *testing.T, pod *corev1.Pod, system string) string {
	t.Helper()
	createPod(t, pod)
	ended, output := awaitJob(t, pod, system)
	require.Zero(t, ended.ExitCode, output)
	return output
}

// statusOf returns the status of a container of the pod, an init container's too, nil for none.
func statusOf(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == name {
				return &statuses[i]
			}
		}
	}
	return nil
}

func logs(t *testing.T, pod *corev1.Pod, container string) string {
	t.Helper()
	text, err := cluster.logs.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container}).DoRaw(t.Context())
	require.NoError(t, err)
	return string(text)
}

// kubectl runs kubectl, which has what no client library does: drain, and exec in one line.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tools.Run(t.Context(), nil, ".", "kubectl", args...)
	require.NoError(t, err)
	return out
}

// eventually polls until try returns nil, and fails the test with its last error where it does not.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	require.NoError(t, poll.Until(context.WithoutCancel(t.Context()), what, 100*time.Millisecond, patience, try))
}

// describe says how pods are, for the message of a failure.
func describe(pods []corev1.Pod) string {
	lines := []string{fmt.Sprintf("%d pods", len(pods))}
	for _, p := range pods {
		lines = append(lines, fmt.Sprintf("pod %s/%s: %s %s", p.Namespace, p.Name, p.Status.Phase, p.Status.Message))
		for _, c := range p.Status.Conditions {
			if c.Status != corev1.ConditionTrue && c.Message != "" {
				lines = append(lines, fmt.Sprintf("  %s: %s", c.Type, c.Message))
			}
		}
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			lines = append(lines, fmt.Sprintf("  %s: %s", s.Name, s.State.String()))
		}
	}
	return strings.Join(lines, "\n")
}

// get reads a pod anew.
func get(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
	return pod
}

func objectMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}
