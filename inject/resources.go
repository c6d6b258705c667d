package inject

import (
	"errors"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// resourceLists are the two of a container's, and of a pod's, resources.
var resourceLists = [...]string{"requests", "limits"}

// isBestEffort reports whether the pod is of the class BestEffort: no container asks for CPU or memory, nor does the pod as a
// whole (k8s.io/kubernetes, pkg/apis/core/v1/helper/qos). Our own init containers must not make it Burstable: a quota scoped
// NotBestEffort would then count the pod, and answer 403 for the user's containers, which have no requests, or for want of room.
//
// The LimitRanger has run before webhooks are called, so that a LimitRange's defaults are in the pod by now, and it runs again
// after them. A quota that wants CPU or memory of every container refuses the user's own in such a pod, whatever ours have.
func (p *pod) isBestEffort() bool {
	if asksForCompute(p.spec.Get("resources")) { // of the pod, or in a RunnerSpec of the runner
		return false
	}
	for i := range p.containers {
		if asksForCompute(p.containers[i].raw.Get("resources")) {
			return false
		}
	}
	for i := range p.initContainers {
		c := &p.initContainers[i]
		if !isOurInitContainer(c) && asksForCompute(c.raw.Get("resources")) {
			return false
		}
	}
	return true
}

// isOurInitContainer reports whether an earlier call added the init container.
func isOurInitContainer(c *container) bool {
	return c.name == initContainerCLI || c.name == initContainerWait || c.name == initContainerEngine && mounts(c, volumeCache)
}

func asksForCompute(resources rawjson.Value) bool {
	for _, list := range resourceLists {
		for _, name := range [...]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			value := resources.Get(list).Get(string(name))
			if !value.IsSet() {
				continue
			}
			if amount, err := quantityOf(value); err != nil || !amount.IsZero() {
				return true
			}
		}
	}
	return false
}

// bestEffort returns the resources without those that decide a pod's class.
func bestEffort(resources corev1.ResourceList) corev1.ResourceList {
	kept := maps.Clone(resources)
	delete(kept, corev1.ResourceCPU)
	delete(kept, corev1.ResourceMemory)
	return kept
}

var errNoQuantity = errors.New("none")

// quantityOf reads a quantity, which may be a number.
func quantityOf(value rawjson.Value) (resource.Quantity, error) {
	text, quoted := value.Str()
	if !quoted && value.Kind() == rawjson.Number {
		text = value.Text()
	}
	if text == "" {
		return resource.Quantity{}, errNoQuantity
	}
	return config.ParseQuantity(text)
}

// fit raises resources to the minimum and lowers them to the maximum.
func (l *ContainerLimits) fit(wanted corev1.ResourceList) (corev1.ResourceList, bool) {
	if len(l.Min)+len(l.Max) == 0 {
		return wanted, false
	}
	fitted, changed := wanted.DeepCopy(), false
	for name, least := range l.Min {
		if have, set := fitted[name]; !set || have.Cmp(least) < 0 {
			fitted[name], changed = least, true
		}
	}
	for name, most := range l.Max {
		if have, set := fitted[name]; set && have.Cmp(most) > 0 {
			fitted[name], changed = most, true
		}
	}
	return fitted, changed
}

// withinPodResources lowers what the init container asks for to what the pod as a whole has (spec.resources, Kubernetes
// 1.34): a container may not have more than its pod.
func withinPodResources(p *pod, wanted corev1.ResourceList) (corev1.ResourceList, bool) {
	if p.podResources.Len() == 0 {
		return wanted, false
	}
	bounded, changed := wanted.DeepCopy(), false
	for name, quantity := range wanted {
		for _, list := range resourceLists {
			if most, err := quantityOf(p.podResources.Get(list).Get(string(name))); err == nil && most.Cmp(quantity) < 0 {
				quantity, changed = most, true
				bounded[name] = most
			}
		}
	}
	return bounded, changed
}

// besidePodResources leaves out what the pod as a whole has: containers that run side by side may not ask for more than that
// together.
func besidePodResources(p *pod, wanted corev1.ResourceList) (corev1.ResourceList, bool) {
	var left corev1.ResourceList
	for name := range wanted {
		for _, list := range resourceLists {
			if !p.podResources.Get(list).Get(string(name)).IsSet() {
				continue
			}
			if left == nil {
				left = wanted.DeepCopy()
			}
			delete(left, name)
		}
	}
	if left == nil {
		return wanted, false
	}
	return left, true
}
