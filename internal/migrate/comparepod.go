package migrate

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

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
		c.differ(Difference{Container: before.Name, Property: "other", Means: meansDefect})
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

// compareSidecars compares engines of the pod's own. Of a hand-written one only the image and where its socket is can be kept.
func (c *comparison) compareSidecars() {
	was, is := sidecarOf(c.before), sidecarOf(c.after)
	if was == nil || is == nil {
		return // that there is another engine is said of the containers
	}
	settings := func(own *corev1.Container) map[string]string {
		all := map[string]string{
			"arguments": strings.Join(append(slices.Clone(own.Command), own.Args...), " "),
			"resources": describeResources(&own.Resources),
		}
		var env, folders []string
		for i := range own.Env {
			env = append(env, describeEnv(&own.Env[i]))
		}
		for _, m := range own.VolumeMounts {
			folders = append(folders, path.Clean(m.MountPath))
		}
		all["environment"] = strings.Join(env, ", ")
		all["mounts"] = strings.Join(slices.Sorted(slices.Values(folders)), ", ")
		return all
	}
	before, after := settings(was), settings(is)
	for _, name := range sortedNames(before) {
		if before[name] != after[name] {
			c.differ(Difference{was.Name, "engine " + name, before[name], after[name],
				"The pod's own engine has other " + name + ": of these the policy's engine.sidecar sets the resources."})
		}
	}
}

func describeResources(r *corev1.ResourceRequirements) string {
	var all []string
	for name, list := range map[string]corev1.ResourceList{"requests": r.Requests, "limits": r.Limits} {
		for resource, quantity := range list {
			all = append(all, fmt.Sprintf("%s of %s %s", name, resource, quantity.String()))
		}
	}
	return strings.Join(slices.Sorted(slices.Values(all)), ", ")
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
			c.differ(Difference{Property: "tolerations", After: describeToleration(t), Means: meansTaint})
		}
	}
	selectors := map[string]bool{}
	for _, m := range []map[string]string{c.before.Spec.NodeSelector, c.after.Spec.NodeSelector} {
		for key := range m {
			selectors[key] = true
		}
	}
	for _, key := range sortedNames(selectors) {
		was, before := c.before.Spec.NodeSelector[key]
		is, after := c.after.Spec.NodeSelector[key]
		if before != after || was != is {
			means := meansFewerNodes
			if before {
				means = "Pods go to other nodes."
			}
			c.differ(Difference{Property: "nodeSelector", Before: pair(key, was, before), After: pair(key, is, after), Means: means})
		}
	}
	own, given := requiredTerms(c.before), requiredTerms(c.after)
	if !sameTerms(own, given) {
		c.differ(Difference{Property: "nodeAffinity", Before: describeTerms(own), After: describeTerms(given), Means: meansFewerNodes})
	}
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
		for _, name := range []string{
			inject.AnnotationStatus, inject.AnnotationSafeToEvict, inject.AnnotationContainers, inject.AnnotationPolicy,
		} {
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
		c.differ(Difference{Property: "other", Means: meansDefect})
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
