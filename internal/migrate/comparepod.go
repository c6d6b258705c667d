package migrate

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
)

// compareRest compares everything of a container that injection has nothing to do with: a difference there is a defect of the
// edit.
func (c *comparison) compareRest(before, after *corev1.Container) {
	x, y := before.DeepCopy(), after.DeepCopy()
	for _, one := range []*corev1.Container{x, y} {
		one.Env, one.VolumeMounts = nil, nil
	}
	if x.SecurityContext == nil && y.SecurityContext != nil && reflect.DeepEqual(y.SecurityContext, &corev1.SecurityContext{
		SELinuxOptions: y.SecurityContext.SELinuxOptions,
	}) {
		c.gain("container %s: SELinux options", before.Name)
		y.SecurityContext = nil
	}
	if !sameJSON(x, y) {
		c.differ(Difference{Container: before.Name, Property: "other", Means: "Other fields of the container have changed, which no edit should do: look at the diff."})
	}
}

// compareContainers names what runs in addition.
func (c *comparison) compareContainers() {
	for _, p := range places(c.after) {
		if containerNamed(c.before, p.Name) != nil {
			continue
		}
		if !slices.Contains(c.status.InitContainers, p.Name) {
			c.differ(Difference{Container: p.Name, Property: "other", After: "there", Means: "The container is new, and injection did not add it."})
			continue
		}
		c.gain("init container %s", p.Name)
	}
}

func (c *comparison) comparePlacement() {
	for i := range c.before.Spec.Tolerations {
		t := &c.before.Spec.Tolerations[i]
		if !tolerates(c.after, t) {
			c.differ(Difference{Property: "tolerations", Before: describeToleration(t), Means: "Pods no longer go to nodes with this taint."})
		}
	}
	for i := range c.after.Spec.Tolerations {
		t := &c.after.Spec.Tolerations[i]
		if !tolerates(c.before, t) {
			c.differ(Difference{Property: "tolerations", After: describeToleration(t), Means: "Pods may now also go to nodes with this taint, as the engine does. " +
				"The policy's scheduling.fromEngine: false leaves the placement to the pod."})
		}
	}
	selectors := map[string]bool{}
	for _, m := range []map[string]string{c.before.Spec.NodeSelector, c.after.Spec.NodeSelector} {
		for key := range m {
			selectors[key] = true
		}
	}
	const narrower = "Pods go only to such nodes now, where the engine runs. On any other node the pod had no engine to reach."
	for _, key := range sortedNames(selectors) {
		was, before := c.before.Spec.NodeSelector[key]
		is, after := c.after.Spec.NodeSelector[key]
		if before != after || was != is {
			c.differ(Difference{Property: "nodeSelector", Before: pair(key, was, before), After: pair(key, is, after), Means: meansNodes(before, narrower)})
		}
	}
	own, given := requiredTerms(c.before), requiredTerms(c.after)
	if !sameTerms(own, given) {
		c.differ(Difference{Property: "nodeAffinity", Before: describeTerms(own), After: describeTerms(given), Means: meansNodes(false, narrower)})
	}
}

func meansNodes(before bool, narrower string) string {
	if before {
		return "Pods go to other nodes."
	}
	return narrower
}

func pair(key, value string, set bool) string {
	if !set {
		return ""
	}
	return key + "=" + value
}

func tolerates(pod *corev1.Pod, t *corev1.Toleration) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(own corev1.Toleration) bool {
		switch {
		case sameToleration(&own, t):
			return true
		case own.TolerationSeconds != nil, own.Effect != "" && own.Effect != t.Effect:
			return false
		case own.Operator == corev1.TolerationOpExists:
			return own.Key == "" || own.Key == t.Key
		}
		return false
	})
}

// comparePods compares what is left of the pods.
func (c *comparison) comparePods() {
	groups := func(p *corev1.Pod) []int64 {
		if p.Spec.SecurityContext == nil {
			return nil
		}
		return p.Spec.SecurityContext.SupplementalGroups
	}
	for _, g := range groups(c.after) {
		if !slices.Contains(groups(c.before), g) {
			c.gain("supplemental group %d, so that any user may connect to the socket", g)
		}
	}
	x, y := c.before.DeepCopy(), c.after.DeepCopy()
	for _, p := range []*corev1.Pod{x, y} {
		for _, name := range []string{inject.AnnotationStatus, inject.AnnotationSafeToEvict, inject.AnnotationContainers, inject.AnnotationPolicy} {
			delete(p.Annotations, name)
		}
		delete(p.Labels, inject.LabelInject)
		if len(p.Labels) == 0 {
			p.Labels = nil
		}
		if len(p.Annotations) == 0 {
			p.Annotations = nil
		}
		p.Spec.Containers, p.Spec.InitContainers, p.Spec.Volumes, p.Spec.Tolerations, p.Spec.NodeSelector = nil, nil, nil, nil, nil
		if p.Spec.SecurityContext != nil {
			if p.Spec.SecurityContext.SupplementalGroups = nil; reflect.DeepEqual(p.Spec.SecurityContext, &corev1.PodSecurityContext{}) {
				p.Spec.SecurityContext = nil
			}
		}
		trimAffinity(&p.Spec)
	}
	if !sameJSON(x, y) {
		c.differ(Difference{Property: "other", Means: "Other fields of the pod have changed, which no edit should do: look at the diff."})
	}
}

// trimAffinity takes out what is compared elsewhere, and what is then empty.
func trimAffinity(spec *corev1.PodSpec) {
	a := spec.Affinity
	if a == nil {
		return
	}
	if a.NodeAffinity != nil {
		a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = nil
		if len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
			a.NodeAffinity = nil
		}
	}
	if reflect.DeepEqual(a, &corev1.Affinity{}) {
		spec.Affinity = nil
	}
}

// summary names a proof's outcome in a word.
func summary(differences []Difference) string {
	if len(differences) == 0 {
		return "equal"
	}
	if len(differences) == 1 {
		return "1 difference"
	}
	return fmt.Sprintf("%d differences", len(differences))
}
