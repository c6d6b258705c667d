package inject

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ContainerLimits are the bounds that the LimitRanges of a namespace set for containers. A container outside of them is
// refused with 403, on which a runner controller gives a runner up for good.
type ContainerLimits struct {
	Min, Max corev1.ResourceList
	// PodMax bounds the sum of a pod's containers.
	PodMax corev1.ResourceList
	// LimitsCPU is true if a container without a limit of CPU is refused, or is given a limit, which may be lower than its request.
	LimitsCPU bool
	// RatioOfCPU is true if a container's limit of CPU may be only so many times its request.
	RatioOfCPU bool
}

// maxResources bounds how many resources of a LimitRange count: the first by name. What is left out concerns pods of its own
// namespace only.
const maxResources = 64

// LimitsOf returns what all LimitRanges of a namespace ask of a container together. Their minima for pods, and their
// bounds for volumes, do not count.
func LimitsOf(ranges []corev1.LimitRange) ContainerLimits {
	var limits ContainerLimits
	for i := range ranges {
		var own ContainerLimits
		for _, item := range ranges[i].Spec.Limits {
			switch item.Type {
			case corev1.LimitTypeContainer:
				own.take(item.Min, item.Max)
				limits.LimitsCPU = limits.LimitsCPU || namesCPU(item.Default) || namesCPU(item.Max)
				limits.RatioOfCPU = limits.RatioOfCPU || namesCPU(item.MaxLimitRequestRatio)
			case corev1.LimitTypePod:
				own.PodMax = lower(own.PodMax, item.Max)
				limits.LimitsCPU = limits.LimitsCPU || namesCPU(item.Max)
			}
		}
		limits.take(firstResources(own.Min), firstResources(own.Max))
		limits.PodMax = lower(limits.PodMax, firstResources(own.PodMax))
	}
	return limits
}

func namesCPU(list corev1.ResourceList) bool {
	_, set := list[corev1.ResourceCPU]
	return set
}

func (l *ContainerLimits) take(least, most corev1.ResourceList) {
	l.Min = combine(l.Min, least, func(have, more resource.Quantity) bool { return more.Cmp(have) > 0 })
	l.Max = lower(l.Max, most)
}

func lower(have, more corev1.ResourceList) corev1.ResourceList {
	return combine(have, more, func(have, more resource.Quantity) bool { return more.Cmp(have) < 0 })
}

func firstResources(list corev1.ResourceList) corev1.ResourceList {
	if len(list) > maxResources {
		for _, name := range slices.Sorted(maps.Keys(list))[maxResources:] {
			delete(list, name)
		}
	}
	return list
}

// combine takes in the quantities that are stricter than those there are.
func combine(into, more corev1.ResourceList, stricter func(have, more resource.Quantity) bool) corev1.ResourceList {
	for name, quantity := range more {
		if have, set := into[name]; !set || stricter(have, quantity) {
			if into == nil {
				into = corev1.ResourceList{}
			}
			into[name] = quantity
		}
	}
	return into
}
