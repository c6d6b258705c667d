package check

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// checkCacheAffinity looks at what placement by cache needs of the cluster, where the cluster's policy turns it on.
func (c *checker) checkCacheAffinity() {
	if c.policies == nil {
		return
	}
	namespaces := c.policies.CacheAffinityNamespaces()
	if len(namespaces) == 0 {
		return
	}
	c.checkKarpenter()
	for _, namespace := range namespaces {
		c.checkMayReadPods(namespace)
	}
	c.checkRequests()
}

// karpenterFixed is the first Karpenter that scales up for pods that prefer nodes by name (kubernetes-sigs/karpenter#2182).
const karpenterFixed = "v1.5.0"

// checkKarpenter looks for a Karpenter that ignores pods with preferences by matchFields (kubernetes-sigs/karpenter#2181).
func (c *checker) checkKarpenter() {
	var list appsv1.DeploymentList
	if err := c.Reader.List(c.ctx, &list, client.MatchingLabels{"app.kubernetes.io/name": "karpenter"}); err != nil {
		c.unreadable("whether there is a Karpenter before "+karpenterFixed+", which never scales up for jobs that are placed by cache", err)
		return
	}
	const remedy = "Upgrade Karpenter to " + karpenterFixed + " or later, or set scheduling.cacheAffinity.enabled to false."
	for i := range list.Items {
		d := &list.Items[i]
		name, version := d.Namespace+"/"+d.Name, karpenterVersion(d)
		switch {
		case version == "":
			c.add(Warn, remedy, "the version of Karpenter (Deployment %s) is not known; before %s it never scales up for jobs that are placed by cache",
				name, karpenterFixed)
		case semver.Compare(version, karpenterFixed) < 0 && !isKarpenters(d):
			c.add(Warn, remedy, "Karpenter %s (Deployment %s) is a provider's own, whose versions are others: before Karpenter's %s it never scales "+
				"up for jobs that are placed by cache", version, name, karpenterFixed)
		case semver.Compare(version, karpenterFixed) < 0:
			c.add(Fail, remedy, "Karpenter %s (Deployment %s) never scales up for jobs that are placed by cache", version, name)
		default:
			c.ok("Karpenter %s (Deployment %s) scales up for jobs that are placed by cache", version, name)
		}
	}
}

// karpenterVersion returns the version that a Deployment of Karpenter runs, by the tag of its image, else by its label; empty where
// neither is a version.
func karpenterVersion(d *appsv1.Deployment) string {
	for _, container := range d.Spec.Template.Spec.Containers {
		image, _, _ := strings.Cut(container.Image, "@")
		if at := strings.LastIndexByte(image, ':'); at >= 0 && strings.Contains(image, "karpenter") {
			if version := asVersion(image[at+1:]); version != "" {
				return version
			}
		}
	}
	return asVersion(d.Labels["app.kubernetes.io/version"])
}

// isKarpenters reports whether a Deployment runs the image of Karpenter's own project, whose versions are known.
func isKarpenters(d *appsv1.Deployment) bool {
	return slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
		return strings.Contains(c.Image, "karpenter/controller")
	})
}

func asVersion(text string) string {
	if text = "v" + strings.TrimPrefix(text, "v"); semver.IsValid(text) {
		return text
	}
	return ""
}

// checkMayReadPods asks whether the webhook may read the pods of an engine's namespace.
func (c *checker) checkMayReadPods(namespace string) {
	if c.MayReadPods == nil {
		return
	}
	may, err := c.MayReadPods(c.ctx, namespace)
	switch {
	case err != nil:
		c.unreadable("whether the webhook may read the pods of namespace "+namespace, err)
	case !may:
		c.add(Fail, "Set scheduling.cacheAffinity.enabled in the chart's values (policy), which then grants it, or grant it to the webhook's "+
			"service account: get, list and watch of pods.", "the webhook may not read the pods of namespace %s: no job is placed by cache", namespace)
	default:
		c.ok("the webhook may read the pods of namespace %s", namespace)
	}
}

// lowRequest is the CPU request below which a job leaves a node empty in the scheduler's eyes, whatever its engine does.
var lowRequest = resource.MustParse("250m")

// checkRequests looks for jobs that request hardly anything: their work is done in the engine, which the scheduler does not see, so
// that a project's first nodes fill up without end.
func (c *checker) checkRequests() {
	pods, err := c.asking()
	if err != nil {
		c.unreadable("the requests of jobs", err)
	}
	injected, low := 0, 0
	for i := range pods {
		if pods[i].Annotations[inject.AnnotationStatus] == "" {
			continue
		}
		if injected++; cpuRequest(&pods[i]).Cmp(lowRequest) < 0 {
			low++
		}
	}
	if low == 0 || low*2 < injected {
		return
	}
	c.add(Warn, "Have jobs request the CPU and memory that their pipelines use in the engine.",
		"%d of %s request less than %s of CPU, though their engines work for them: the scheduler cannot tell when a project's nodes are full",
		low, plural(injected, "injected job"), lowRequest.String())
}

func cpuRequest(pod *corev1.Pod) *resource.Quantity {
	sum := resource.Quantity{}
	for i := range pod.Spec.Containers {
		sum.Add(*pod.Spec.Containers[i].Resources.Requests.Cpu())
	}
	if r := pod.Spec.Resources; r != nil && r.Requests.Cpu().Cmp(sum) > 0 {
		return r.Requests.Cpu()
	}
	return &sum
}
