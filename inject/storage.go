package inject

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// CLISizeLimit is how large the volume with the copied CLI may become.
func CLISizeLimit() resource.Quantity { return resource.MustParse(cliSizeLimit) }

// StorageLimit returns how much of its node's disk a pod may use, the copy of the CLI included, before the kubelet evicts it, and
// whether there is such a limit. The limit is the sum of the containers' limits of ephemeral-storage, or that of an init container
// if it is higher (k8s.io/kubernetes, pkg/kubelet/eviction, podEphemeralStorageLimitEviction). It leaves out our own init containers.
func StorageLimit(raw rawjson.Value) (resource.Quantity, bool) {
	p, err := readPod(raw, false)
	if err != nil {
		return resource.Quantity{}, false
	}
	return p.storageLimit()
}

func (p *pod) storageLimit() (resource.Quantity, bool) {
	var sum, highest resource.Quantity
	limited := false
	for i := range p.containers {
		if limit, ok := p.containers[i].limitOf(corev1.ResourceEphemeralStorage); ok {
			sum.Add(limit)
			limited = true
		}
	}
	for i := range p.initContainers {
		c := &p.initContainers[i]
		limit, ok := c.limitOf(corev1.ResourceEphemeralStorage)
		if !ok || isOurInitContainer(c) {
			continue
		}
		limited = true
		if c.runsOn() {
			sum.Add(limit)
		} else if limit.Cmp(highest) > 0 {
			highest = limit
		}
	}
	if highest.Cmp(sum) > 0 {
		sum = highest
	}
	return sum, limited
}

// limitOf returns the container's limit of a resource, and whether it has one.
func (c *container) limitOf(name corev1.ResourceName) (resource.Quantity, bool) {
	limit, err := quantityOf(c.raw.Get("resources").Get("limits").Get(string(name)))
	return limit, err == nil
}

// runsOn reports whether an init container is a sidecar, which runs on beside the containers.
func (c *container) runsOn() bool {
	policy, _ := c.raw.Get("restartPolicy").Str()
	return policy == string(corev1.ContainerRestartPolicyAlways)
}

// withoutStorageLimit takes the limit of ephemeral-storage from one of our init containers if no container of the pod has one:
// the kubelet would take it for the limit of the whole pod, and evict a job that uses more.
func withoutStorageLimit(p *pod, limits corev1.ResourceList) corev1.ResourceList {
	if _, set := limits[corev1.ResourceEphemeralStorage]; !set {
		return limits
	}
	if _, limited := p.storageLimit(); limited {
		return limits
	}
	kept := maps.Clone(limits)
	delete(kept, corev1.ResourceEphemeralStorage)
	return kept
}

// noteStorage says that the copy of the CLI counts against a limit of the pod's.
func (i *injection) noteStorage() {
	limit, limited := i.pod.storageLimit()
	if !limited {
		return
	}
	i.status.CLIStorage = "up to " + cliSizeLimit + " of the pod's limit, " + limit.String()
	i.cramped = limit.Cmp(CLISizeLimit()) < 0
}

// warnAboutStorage tells of a pod that has little room for the copy of the CLI.
func (i *injection) warnAboutStorage(plan *Plan) {
	if i.cramped {
		plan.warn("the copy of the dagger command counts against the pod's limits of ephemeral-storage (" + i.status.CLIStorage +
			"), and the kubelet evicts a pod that uses more: raise the limits of its containers.")
	}
}
