package fleet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// group is running pods of one workload that have got the same.
type group struct {
	namespace, workload string
	annotation          string
	pods                int
	// examples are some of the pods. While a fleet is compared, its pods end.
	examples []string
}

// maxExamples is how many pods of a group are tried.
const maxExamples = 8

// readPods groups the running pods that asked for injection or were injected: those with the label, those with a status, and all of
// the namespaces that ask.
func (r *run) readPods() error {
	var pods corev1.PodList
	if err := r.Reader.List(r.ctx, &pods, client.InNamespace(r.Namespace)); err != nil {
		return fmt.Errorf("reading the pods: %w", err)
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	asks := map[string]bool{}
	known := map[string]*group{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		annotation := pod.Annotations[inject.AnnotationStatus]
		if _, labelled := pod.Labels[inject.LabelInject]; !labelled && annotation == "" && !r.namespaceAsks(asks, pod.Namespace) {
			continue
		}
		id := pod.Namespace + " " + workloadOf(pod)
		if r.Proposed == nil {
			id += " " + essence(annotation)
		}
		g := known[id]
		if g == nil {
			g = &group{namespace: pod.Namespace, workload: workloadOf(pod), annotation: annotation}
			known[id] = g
			r.groups = append(r.groups, g)
		}
		if g.pods++; len(g.examples) < maxExamples {
			g.examples = append(g.examples, pod.Name)
		}
	}
	return nil
}

func (r *run) namespaceAsks(known map[string]bool, name string) bool {
	asks, read := known[name]
	if !read {
		var ns corev1.Namespace
		asks = r.Reader.Get(r.ctx, client.ObjectKey{Name: name}, &ns) == nil && ns.Labels[inject.LabelInject] == inject.InjectTrue
		known[name] = asks
	}
	return asks
}

// essence is the same for status annotations that differ only in what differs from pod to pod.
func essence(annotation string) string {
	if annotation == "" {
		return ""
	}
	var s inject.Status
	if json.Unmarshal([]byte(annotation), &s) != nil {
		return annotation
	}
	s.CacheAffinity, s.CLIStorage = nil, ""
	if s.Transport == "tcp" {
		s.Engine = "" // a replica's
	}
	text, err := json.Marshal(s)
	if err != nil {
		return annotation
	}
	return string(text)
}

// sets are the labels by which runner controllers name the set that a pod belongs to, whose pods have owners of their own.
var sets = []struct{ kind, label string }{
	{"AutoscalingRunnerSet", "actions.github.com/scale-set-name"}, {"RunnerDeployment", "runner-deployment-name"},
	{"RunnerSet", "runnerset-name"}, {"Pipeline", "tekton.dev/pipeline"}, {"Task", "tekton.dev/task"},
	{"WorkflowTemplate", "workflows.argoproj.io/workflow-template"}, {"GitLab Runner", "manager.runner.gitlab.com/id-short"},
}

// ordinal is the end of the name of a Job that a CronJob has made: the minutes since 1970 (k8s.io/kubernetes, pkg/controller/cronjob).
var ordinal = regexp.MustCompile(`-\d{8,}$`)

// workloadOf names what creates a pod, as far as its labels and its owner say.
func workloadOf(pod *corev1.Pod) string {
	for _, set := range sets {
		if name := pod.Labels[set.label]; name != "" {
			return set.kind + " " + name
		}
	}
	owner := metav1.GetControllerOf(pod)
	switch {
	case owner == nil:
		return "pods without an owner"
	case owner.Kind == "ReplicaSet":
		return "Deployment " + strings.TrimSuffix(owner.Name, "-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey])
	case owner.Kind == "Job" && ordinal.MatchString(owner.Name):
		return "CronJob " + ordinal.ReplaceAllString(owner.Name, "")
	}
	return owner.Kind + " " + owner.Name
}
