package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// stripLimitRange keeps what is needed of a LimitRange in the cache: its bounds for containers.
func stripLimitRange(obj any) (any, error) {
	if lr, ok := obj.(*corev1.LimitRange); ok {
		lr.ManagedFields, lr.Annotations, lr.Labels = nil, nil, nil
		var limits inject.ContainerLimits
		for _, item := range lr.Spec.Limits {
			if item.Type == corev1.LimitTypeContainer {
				limits = combineLimits(limits, &item)
			}
		}
		lr.Spec.Limits = []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Min: firstResources(limits.Min), Max: firstResources(limits.Max),
		}}
	}
	return obj, nil
}

// The bounds of what is combined for each pod.
const (
	maxLimitRanges = 64
	maxResources   = 64 // names of resources in a LimitRange
)

// ContainerLimits returns what all LimitRanges of a namespace ask of a container together.
func ContainerLimits(ctx context.Context, cache client.Reader, namespace string) (inject.ContainerLimits, error) {
	var list corev1.LimitRangeList
	if err := cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy, client.Limit(maxLimitRanges+1)); err != nil {
		return inject.ContainerLimits{}, err
	}
	if len(list.Items) > maxLimitRanges {
		return inject.ContainerLimits{}, fmt.Errorf("there are more than the %d that are read for a pod", maxLimitRanges)
	}
	var limits inject.ContainerLimits
	for i := range list.Items {
		for _, item := range list.Items[i].Spec.Limits {
			limits = combineLimits(limits, &item)
		}
	}
	return limits, nil
}

func combineLimits(limits inject.ContainerLimits, item *corev1.LimitRangeItem) inject.ContainerLimits {
	limits.Min = combine(limits.Min, item.Min, func(have, more resource.Quantity) bool { return more.Cmp(have) > 0 })
	limits.Max = combine(limits.Max, item.Max, func(have, more resource.Quantity) bool { return more.Cmp(have) < 0 })
	return limits
}

// firstResources bounds how many resources a LimitRange has, the same in every replica. What is left out concerns the pods of its
// own namespace only: an error would stop the cache for all.
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
