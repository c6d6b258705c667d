package webhook

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// stripLimitRange keeps what is needed of a LimitRange in the cache: its bounds for containers.
func stripLimitRange(obj any) (any, error) {
	if lr, ok := obj.(*corev1.LimitRange); ok {
		lr.ManagedFields, lr.Annotations, lr.Labels = nil, nil, nil
		var kept []corev1.LimitRangeItem
		for _, item := range lr.Spec.Limits {
			if item.Type == corev1.LimitTypeContainer {
				kept = append(kept, corev1.LimitRangeItem{Type: item.Type, Min: item.Min, Max: item.Max})
			}
		}
		lr.Spec.Limits = kept
	}
	return obj, nil
}

// ContainerLimits returns what all LimitRanges of a namespace ask of a container together.
func ContainerLimits(ctx context.Context, cache client.Reader, namespace string) (inject.ContainerLimits, error) {
	var list corev1.LimitRangeList
	if err := cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return inject.ContainerLimits{}, err
	}
	var limits inject.ContainerLimits
	for i := range list.Items {
		for _, item := range list.Items[i].Spec.Limits {
			limits.Min = combine(limits.Min, item.Min, func(have, more resource.Quantity) bool { return more.Cmp(have) > 0 })
			limits.Max = combine(limits.Max, item.Max, func(have, more resource.Quantity) bool { return more.Cmp(have) < 0 })
		}
	}
	return limits, nil
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
