package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPodsQuantitiesCannotStopADecision has amounts that Kubernetes works out to the last digit, and some that it cannot compare.
func TestAPodsQuantitiesCannotStopADecision(t *testing.T) {
	for amount, want := range map[string]string{
		"'1e2147483648'": "100m", "'1e-2147483648'": "100m", "'1e2147483647'": "100m", "'1e99'": "100m", "'50m'": "50m",
	} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {resources: {limits: {cpu: "+amount+"}}, containers: [{name: a}]}}")
		in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1'}")
		plan := Decide(in)
		require.Equal(t, DecisionInjected, plan.Decision)
		// The pod itself is left undecoded: that would take what the decision must not.
		require.Contains(t, string(mustMarshal(plan.Operations)), `"limits":{"cpu":"`+want+`",`, amount)
	}
}
