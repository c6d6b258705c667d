package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/textdiff"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
)

// demo is one pod that the demo creates and shows.
type demo struct {
	title     string
	fixture   string
	namespace string
	labels    map[string]string
}

var demos = []demo{
	{
		title:     "A runner of ARC (docker-in-docker mode), which carries the label dagger.io/inject=true itself",
		fixture:   "gha-dind",
		namespace: "arc-runners",
	},
	{
		title:     "A job of GitLab Runner, without a label, in a namespace labelled dagger.io/inject=true",
		fixture:   "gitlab-default",
		namespace: "ci",
		labels:    map[string]string{inject.LabelInject: "true"},
	},
}

// treePath returns the path of a file, given from the top of the tree, relative to the working folder.
func treePath(path ...string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.Rel(folder, filepath.Join(append([]string{filepath.Dir(file), "../../.."}, path...)...))
}

// readTestFile reads a file of the tests' data.
func readTestFile(path ...string) ([]byte, error) {
	name, err := treePath(append([]string{"test", "data"}, path...)...)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// pod reads the pod as the runner controller's own code made it.
func (d *demo) pod() (*corev1.Pod, error) {
	text, err := readTestFile("fixtures", d.fixture, "pod.yaml")
	if err != nil {
		return nil, err
	}
	var pod corev1.Pod
	return &pod, yaml.UnmarshalStrict(text, &pod)
}

func (d *demo) prepare(ctx context.Context, cluster *localcluster.Cluster) error {
	pod, err := d.pod()
	if err != nil {
		return err
	}
	if err := cluster.CreateNamespace(ctx, d.namespace, d.labels, nil); err != nil {
		return err
	}
	if pod.Spec.ServiceAccountName == "" {
		return nil
	}
	return cluster.CreateServiceAccounts(ctx, d.namespace, pod.Spec.ServiceAccountName)
}

// create creates the pod and returns, as YAML, what the API server stored, less what differs from one call to the next.
func (d *demo) create(ctx context.Context, cluster *localcluster.Cluster, dryRun bool) (string, error) {
	pod, err := d.pod()
	if err != nil {
		return "", err
	}
	var options []client.CreateOption
	if dryRun {
		options = append(options, client.DryRunAll)
	}
	if err := cluster.Client().Create(ctx, pod, options...); err != nil {
		return "", fmt.Errorf("creating the pod %s: %w", pod.Name, err)
	}
	token := "kube-api-access"
	for _, v := range pod.Spec.Volumes {
		if strings.HasPrefix(v.Name, "kube-api-access-") {
			token = v.Name
		}
	}
	shown := &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
	shown.APIVersion, shown.Kind = "v1", "Pod"
	shown.ManagedFields, shown.UID, shown.ResourceVersion = nil, "", ""
	shown.CreationTimestamp.Reset()
	text, err := yaml.Marshal(shown)
	// Left out for the reader: a random name, and a status that is still empty.
	return strings.TrimSuffix(strings.ReplaceAll(string(text), token, "kube-api-access"), "status: {}\n"), err
}

// report prints the difference, and what was added and why, from the pod's own status annotation.
func (d *demo) report(before, after string) error {
	diff, err := textdiff.Unified("as the controller makes it", before, "as the API server stored it", after)
	if err != nil {
		return err
	}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		diff = textdiff.Colour(diff)
	}
	fmt.Print(diff)
	var pod corev1.Pod
	if err := yaml.Unmarshal([]byte(after), &pod); err != nil {
		return err
	}
	var status inject.Status
	if err := json.Unmarshal([]byte(pod.Annotations[inject.AnnotationStatus]), &status); err != nil {
		return fmt.Errorf("the pod was not injected: its annotation %s: %w", inject.AnnotationStatus, err)
	}
	fmt.Printf(`
What was added, and why:
  container %s: %s=%s, so that dagger finds its engine
  volumes %s: the engine's socket on the node, and the place for the CLI
  init containers %s: copy dagger from %s, the engine's own version, to /usr/local/bin/dagger, and wait until the engine answers
  supplemental group 1001: any user of the pod may connect to the socket
  under the policy: %s; the engine was read off %s
`, strings.Join(status.Containers, ", "), inject.EnvRunnerHost, status.Engine, strings.Join(status.Volumes, ", "),
		strings.Join(status.InitContainers, ", "), status.CLIImage, status.Policy.Source, status.ReadFrom)
	return nil
}
