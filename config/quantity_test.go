package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestQuantitiesThatWouldStopUsAreRefused(t *testing.T) {
	for _, text := range []string{
		"1e2147483648", "1E2147483648", "1e-2147483648", "1e+100000000", "1e2147483647", "1e100", "1e--100000000", strings.Repeat("9", 1<<15),
	} {
		_, err := ParseQuantity(text)
		require.Error(t, err, text[:min(len(text), 20)])
		for _, section := range []string{"cli", "wait"} {
			_, err = Parse([]byte(header + section + ": {resources: {requests: {cpu: '" + text + "'}}}\n"))
			require.ErrorContains(t, err, section+".resources.requests.cpu")
		}
		_, err = Parse([]byte(header + "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: '" + text + "'}}}]\n"))
		require.ErrorContains(t, err, "divisor")
	}
}

func TestQuantitiesAreReadAsKubernetesDoes(t *testing.T) {
	for _, text := range []string{"100m", "64Mi", "1E", "1Ei", "0.5", "1e3", "1E3", "1e-3", "1e99", "1e-99", "-1e99"} {
		got, err := ParseQuantity(text)
		require.NoError(t, err, text)
		require.Zero(t, got.Cmp(resource.MustParse(text)))
	}
}
