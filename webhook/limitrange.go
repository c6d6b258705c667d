package webhook

import (
	"context"

	corev1 "k8s.io/api/core/v1"
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

// containerLimits returns what all LimitRanges of a namespace ask of a container together.
func containerLimits(ctx context.Context, cache client.Reader, namespace string) (inject.ContainerLimits, error) {
	var list corev1.LimitRangeList
	if err := cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return inject.ContainerLimits{}, err
	}
	return inject.LimitsOf(list.Items), nil
}
