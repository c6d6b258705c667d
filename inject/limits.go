package inject

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ContainerLimits are the bounds that the LimitRanges of a namespace set for containers. A container outside of them is
// refused with 403, on which a runner controller gives a runner up for good.
type ContainerLimits struct {
	Min, Max corev1.ResourceList
}

// LimitsOf returns what all LimitRanges of a namespace ask of a container together. Their bounds for pods and for volumes do
// not count.
func LimitsOf(ranges []corev1.LimitRange) ContainerLimits {
	var limits ContainerLimits
	for i := range ranges {
		for _, item := range ranges[i].Spec.Limits {
			if item.Type != corev1.LimitTypeContainer {
				continue
			}
			limits.Min = combine(limits.Min, item.Min, func(have, more resource.Quantity) bool { return more.Cmp(have) > 0 })
			limits.Max = combine(limits.Max, item.Max, func(have, more resource.Quantity) bool { return more.Cmp(have) < 0 })
		}
	}
	return limits
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
