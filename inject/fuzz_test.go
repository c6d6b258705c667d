package inject_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/suite/invariant"
)

// fuzzOne holds the invariants against any JSON, in a namespace that opts in.
func fuzzOne(t *testing.T, policies *inject.Policies, pod string) {
	first, ok := decideAny(policies, pod)
	if !ok {
		return
	}
	if first.Decision != inject.DecisionInjected && first.Decision != inject.DecisionSkipped {
		require.Empty(t, first.Operations)
		return
	}
	patched, err := patch.Apply([]byte(pod), first.Operations)
	require.NoError(t, err)
	if len(first.Operations) == 0 {
		return
	}
	require.NoError(t, invariant.OnlyAdded(pod, string(patched)))
	again, ok := decideAny(policies, string(patched))
	require.True(t, ok)
	require.Empty(t, again.Operations)
}

func decideAny(policies *inject.Policies, pod string) (*inject.Plan, bool) {
	var d rawjson.Document
	root, err := d.Parse(pod)
	if err != nil {
		return nil, false
	}
	return inject.Decide(inject.Input{
		Pod:       root,
		Namespace: inject.Namespace{Name: "ci", Labels: map[string]string{inject.LabelInject: "true"}},
		Policies:  policies,
		Version:   "fuzz",
		Cluster:   inject.Cluster{ImageVolumes: true},
	}), true
}
