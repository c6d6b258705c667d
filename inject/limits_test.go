package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestLimitsOfCombinesTheBoundsForContainers(t *testing.T) {
	item := func(kind corev1.LimitType, least, most string) corev1.LimitRange {
		return corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: kind, Min: corev1.ResourceList{"cpu": resource.MustParse(least)}, Max: corev1.ResourceList{"cpu": resource.MustParse(most)},
		}}}}
	}
	limits := LimitsOf([]corev1.LimitRange{
		item(corev1.LimitTypeContainer, "100m", "2"), item(corev1.LimitTypeContainer, "200m", "4"), item(corev1.LimitTypePod, "1", "1"),
	})
	require.Equal(t, "200m", limits.Min.Cpu().String())
	require.Equal(t, "2", limits.Max.Cpu().String())
	require.Zero(t, LimitsOf(nil))
}

func TestLimitsOfSaysWhatIsAskedOfLimitsOfCPU(t *testing.T) {
	cpu := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	for _, c := range []struct {
		item          corev1.LimitRangeItem
		limits, ratio bool
	}{
		{corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: cpu, DefaultRequest: cpu}, false, false},
		{corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: cpu}, true, false},
		{corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: cpu}, true, false},
		{corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: cpu}, false, true},
		{corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: cpu}, true, false},
		{corev1.LimitRangeItem{Type: corev1.LimitTypePod, MaxLimitRequestRatio: cpu}, false, false},
		{corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Max: cpu}, false, false},
	} {
		limits := LimitsOf([]corev1.LimitRange{{}, {Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{c.item}}}})
		require.Equal(t, c.limits, limits.LimitsCPU, c.item)
		require.Equal(t, c.ratio, limits.RatioOfCPU, c.item)
	}
}
