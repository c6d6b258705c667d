package inject

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// A limit of CPU throttles an init container of ours that needs 50 ms of CPU to half a second, and the kubelet looks only once a second
// whether it has ended. So there is a limit only where something asks for one, and it is then the highest of the pod's own containers:
// init containers run before those and not beside them, so that the pod as a whole asks for no more than without us.

// cpuOf is what a pod's own containers say about CPU.
type cpuOf struct {
	// limited is true if every container has a limit, as a quota on limits.cpu wants it of each, our own too.
	limited bool
	// highest is the highest limit.
	highest resource.Quantity
	// guaranteed is true if the pod is of the class Guaranteed by its containers, which need limits that equal requests.
	guaranteed bool
}

// cpu looks at the containers that are not ours, once.
func (p *pod) cpu() cpuOf {
	if p.cpuKnown != nil {
		return *p.cpuKnown
	}
	all := cpuOf{limited: true, guaranteed: true}
	for i := range p.containers {
		all.take(&p.containers[i])
	}
	for i := range p.initContainers {
		if c := &p.initContainers[i]; !isOurInitContainer(c) {
			all.take(c)
		}
	}
	p.cpuKnown = &all
	return all
}

func (all *cpuOf) take(c *container) {
	resources := c.raw.Get("resources")
	all.guaranteed = all.guaranteed && isGuaranteed(resources, corev1.ResourceCPU) && isGuaranteed(resources, corev1.ResourceMemory)
	limit, limited := c.limitOf(corev1.ResourceCPU)
	all.limited = all.limited && limited
	if limited && limit.Cmp(all.highest) > 0 {
		all.highest = limit
	}
}

// isGuaranteed reports whether the limit of a resource is more than zero and equal to the request, which is by default the limit.
func isGuaranteed(resources rawjson.Value, name corev1.ResourceName) bool {
	limit, err := quantityOf(resources.Get("limits").Get(string(name)))
	if err != nil || limit.IsZero() {
		return false
	}
	asked := resources.Get("requests").Get(string(name))
	if !asked.IsSet() {
		return true
	}
	request, err := quantityOf(asked)
	return err == nil && request.Cmp(limit) == 0
}

// withCPULimit returns the requests and limits of an init container that runs before the pod's own and asks for resources. They share
// nothing with those that they are made of.
func withCPULimit(p *pod, ns *Namespace, resources corev1.ResourceList) (requests, limits corev1.ResourceList) {
	requests, limits = resources.DeepCopy(), resources.DeepCopy()
	request, asked := resources[corev1.ResourceCPU]
	if !asked {
		return requests, limits
	}
	own := p.cpu()
	if own.highest.Cmp(request) < 0 {
		own.highest = request
	}
	switch {
	case own.guaranteed:
		requests[corev1.ResourceCPU], limits[corev1.ResourceCPU] = own.highest, own.highest
	case own.limited && !ns.Limits.RatioOfCPU:
		limits[corev1.ResourceCPU] = own.highest
	case !own.limited && !ns.Limits.LimitsCPU:
		delete(limits, corev1.ResourceCPU)
	}
	return requests, limits
}
