package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	schedulingcorev1 "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

const (
	// cacheDir is where an engine keeps its cache, and metricsAddress the variable that makes it serve metrics.
	cacheDir       = "/var/lib/dagger"
	metricsAddress = "_EXPERIMENTAL_DAGGER_METRICS_ADDR"
	// shortGrace is the chart's grace period. It is too short for large caches, which engines have lost by it (dagger#13951).
	shortGrace = 300
)

// checkCaches looks for settings by which engines lose their caches, or jobs lose the engine that they use.
func (c *checker) checkCaches() {
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(c.lookups)) {
		found := c.lookups[key].found
		if found == nil {
			continue
		}
		for i, e := range found.Engines {
			if name := e.Workload.String(); i < most && !seen[name] {
				seen[name] = true
				c.checkCache(e)
			}
		}
	}
}

func (c *checker) checkCache(e *engine.Discovered) {
	name := e.Workload.String()
	runs, err := c.engines.Runs(e.Workload.Namespace, name)
	if err != nil {
		return // checkEngines has reported it
	}
	before := len(c.findings)
	spec := &runs.Template.Spec
	container := engineContainer(spec, e.Image)
	switch volume := cacheVolume(spec, container, runs.Claims); {
	case volume == lostWithPod:
		c.add(Warn, "Keep "+cacheDir+" in a directory of the node or on a claim.",
			"%s keeps its cache in the pod, which loses it whenever it is replaced", name)
	case grace(spec) <= shortGrace:
		c.add(Warn, "Raise terminationGracePeriodSeconds of its pods, to 3600 for a cache of some hundred GB.",
			"%s has %d s to write its cache out when it stops, and loses it if that is too short (dagger#13951)", name, grace(spec))
	}
	if runs.Replaces {
		c.add(Warn, "Upgrade with a second release beside it, or set updateStrategy to OnDelete: see "+
			"https://github.com/dagger-inject/dagger-inject/blob/main/docs/upgrading.md#upgrade-the-engine",
			"%s restarts engines under running jobs whenever its template changes", name)
	}
	if container != nil {
		if _, limited := container.Resources.Limits[corev1.ResourceMemory]; !limited && e.Workload.Kind == "DaemonSet" {
			c.add(Warn, "Give the engine a memory limit.", "%s has no memory limit, on nodes that also run jobs", name)
		}
		if !slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == metricsAddress }) {
			c.add(Warn, "Set "+metricsAddress+" on the engine, as in 0.0.0.0:9090.", "%s serves no metrics: nobody sees its cache grow", name)
		}
	}
	if e.Workload.Kind == "StatefulSet" {
		c.checkDisruption(e, runs)
	}
	c.checkClients(e)
	if e.Workload.Kind == "DaemonSet" {
		c.checkNodes(e)
	}
	if len(c.findings) == before {
		c.ok("%s: nothing is known that endangers its cache or the jobs that use it", name)
	}
}

func engineContainer(spec *corev1.PodSpec, image string) *corev1.Container {
	for i := range spec.Containers {
		if spec.Containers[i].Image == image {
			return &spec.Containers[i]
		}
	}
	return nil
}

func grace(spec *corev1.PodSpec) int64 {
	if spec.TerminationGracePeriodSeconds == nil {
		return 30 // the API server's default
	}
	return *spec.TerminationGracePeriodSeconds
}

// durability says what happens to an engine's cache when its pod is replaced.
type durability int

const (
	keptOutside durability = iota
	lostWithPod
)

func cacheVolume(spec *corev1.PodSpec, container *corev1.Container, claims []string) durability {
	if container == nil {
		return keptOutside // nothing is known about it
	}
	for _, mount := range container.VolumeMounts {
		if path.Clean(mount.MountPath) != cacheDir {
			continue
		}
		if slices.Contains(claims, mount.Name) {
			return keptOutside
		}
		for _, volume := range spec.Volumes {
			if volume.Name == mount.Name && volume.EmptyDir == nil {
				return keptOutside
			}
		}
	}
	return lostWithPod
}

// checkDisruption looks for a PodDisruptionBudget. Without one, the cluster autoscaler and node drains stop engines at any
// time.
func (c *checker) checkDisruption(e *engine.Discovered, runs *cluster.EngineRuns) {
	var budgets policyv1.PodDisruptionBudgetList
	if err := c.Reader.List(c.ctx, &budgets, client.InNamespace(e.Workload.Namespace)); err != nil {
		c.unreadable("the PodDisruptionBudgets of "+e.Workload.Namespace, err)
		return
	}
	for i := range budgets.Items {
		selector, err := metav1.LabelSelectorAsSelector(budgets.Items[i].Spec.Selector)
		if err == nil && selector.Matches(labels.Set(runs.Template.Labels)) {
			return
		}
	}
	c.add(Warn, "Give it a PodDisruptionBudget with maxUnavailable: 1, or 0 to drain it by hand.",
		"%s has no PodDisruptionBudget: a node that is drained stops its engine under running jobs", e.Workload)
}

// checkClients looks for pods that run with a CLI that the engine cannot serve.
func (c *checker) checkClients(e *engine.Discovered) {
	pods, err := c.allPods()
	if err != nil {
		c.unreadable("the pods that use "+e.Workload.String(), err)
		return
	}
	bad, example := 0, ""
	for i := range pods {
		pod := &pods[i]
		var status inject.Status
		if over(pod) || json.Unmarshal([]byte(pod.Annotations[inject.AnnotationStatus]), &status) != nil ||
			status.ReadFrom != e.Workload.String() {
			continue
		}
		client := engine.ImageVersion(status.CLIImage)
		if e.Version == "" || client == "" {
			continue
		}
		if _, err := engine.Compatible(e.Version, client); err != nil {
			if bad++; bad == 1 {
				example = fmt.Sprintf("%s/%s: %v", pod.Namespace, pod.Name, err)
			}
		}
	}
	if bad > 0 {
		c.add(Warn, "Leave cli.image out, so that the CLI is the engine's own, and create the pods anew.",
			"%s cannot serve the CLI of %s, such as %s", e.Workload, plural(bad, "pod"), example)
	}
}

// allPods returns the pods of the namespaces that are checked, read once.
func (c *checker) allPods() ([]corev1.Pod, error) {
	if !c.givenRead {
		var list corev1.PodList
		c.givenErr = c.Reader.List(c.ctx, &list, client.InNamespace(c.Namespace))
		c.given, c.givenRead = list.Items, true
	}
	return c.given, c.givenErr
}

// checkNodes looks for nodes without a ready engine that a job with the engine's placement can land on.
func (c *checker) checkNodes(e *engine.Discovered) {
	var nodes corev1.NodeList
	if err := c.Reader.List(c.ctx, &nodes); err != nil {
		c.unreadable("the nodes that jobs can land on", err)
		return
	}
	pods, err := c.engines.Pods(e.Workload.Namespace, e.Workload.String())
	if err != nil {
		return // checkEngines has reported it
	}
	with := map[string]bool{}
	for i := range pods {
		with[pods[i].Spec.NodeName] = with[pods[i].Spec.NodeName] || cluster.IsReady(&pods[i])
	}
	// Jobs get the part of the engine's placement that injection copies, and no other toleration.
	placement := engine.Resolve(&config.InjectionPolicy{}, e, func(string) bool { return false }).Placement
	selects := nodeaffinity.NewRequiredNodeAffinity(placement.NodeSelector, &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: placement.Required,
	}})
	keepsOut := func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }
	var without []string
	for i := range nodes.Items {
		node := &nodes.Items[i]
		match, err := selects.Match(node)
		_, untolerated := schedulingcorev1.FindMatchingUntoleratedTaint(
			klog.Background(), node.Spec.Taints, placement.Tolerations, keepsOut, true)
		if err == nil && match && !untolerated && !node.Spec.Unschedulable && !with[node.Name] {
			without = append(without, node.Name)
		}
	}
	if len(without) > 0 {
		slices.Sort(without)
		c.add(Warn, "Let the engine run there too, or keep jobs away with a nodeSelector on the engine's workload.",
			"%s: jobs can land on %s without a ready engine, such as %s", e.Workload, plural(len(without), "node"), without[0])
	}
}
