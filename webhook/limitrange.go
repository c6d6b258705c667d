package webhook

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// someCPU stands for an amount of CPU of which nothing but its presence counts.
var someCPU = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}

// stripLimitRange reduces a LimitRange in the cache to the bounds that decisions look at.
func stripLimitRange(obj any) (any, error) {
	if lr, ok := obj.(*corev1.LimitRange); ok {
		lr.ManagedFields, lr.Annotations, lr.Labels = nil, nil, nil
		limits := inject.LimitsOf([]corev1.LimitRange{*lr})
		container := corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: limits.Min, Max: limits.Max}
		if limits.LimitsCPU {
			container.Default = someCPU
		}
		if limits.RatioOfCPU {
			container.MaxLimitRequestRatio = someCPU
		}
		lr.Spec.Limits = []corev1.LimitRangeItem{container, {Type: corev1.LimitTypePod, Max: limits.PodMax}}
	}
	return obj, nil
}

// maxLimitRanges bounds how many LimitRanges of a namespace are combined for each of its pods.
const maxLimitRanges = 64

// containerLimits returns the bounds that all LimitRanges of a namespace together set for a container.
func containerLimits(ctx context.Context, cache client.Reader, namespace string) (inject.ContainerLimits, error) {
	var list corev1.LimitRangeList
	if err := cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy, client.Limit(maxLimitRanges+1)); err != nil {
		return inject.ContainerLimits{}, err
	}
	if len(list.Items) > maxLimitRanges {
		return inject.ContainerLimits{}, fmt.Errorf("there are more than the %d that are read for a pod", maxLimitRanges)
	}
	return inject.LimitsOf(list.Items), nil
}
