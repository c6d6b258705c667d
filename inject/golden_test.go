package inject_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
	"github.com/dagger-inject/dagger-inject/test/suite/invariant"
)

// decide runs the library on a pod's JSON, with everything else as the case has it.
func decide(t testing.TB, c *fixtures.Case, policies *inject.Policies, pod string) *inject.Plan {
	t.Helper()
	var d rawjson.Document
	root, err := d.Parse(pod)
	require.NoError(t, err)
	return inject.Decide(inject.Input{Pod: root, Namespace: c.Facts(t), Policies: policies, Cluster: c.Cluster(t), Ready: c.Ready(t),
		Version: "dev"})
}

func TestLibraryGivesTheGoldens(t *testing.T) {
	for _, c := range fixtures.All(t) {
		t.Run(c.Name, func(t *testing.T) {
			pod := string(c.Pod(t))
			plan := decide(t, &c, c.Policies(t), pod)
			require.Contains(t, c.Expected("expected.txt"), string(plan.Decision)+" ("+string(plan.Reason)+"): ")
			for _, warning := range plan.Warnings {
				require.Contains(t, c.Expected("expected.txt"), warning)
			}
			if len(plan.Operations) == 0 {
				require.Empty(t, c.Expected("expected.yaml"))
				return
			}
			patched, err := patch.Apply([]byte(pod), plan.Operations)
			require.NoError(t, err)
			expected, err := yaml.YAMLToJSON([]byte(c.Expected("expected.yaml")))
			require.NoError(t, err)
			require.JSONEq(t, string(expected), string(patched))
			checkInvariants(t, &c, c.Policies(t), pod)
		})
	}
}

// checkInvariants holds the design's invariants 1 and 2 against one pod: the patch only adds, and deciding on what it gives
// adds nothing.
func checkInvariants(t testing.TB, c *fixtures.Case, policies *inject.Policies, pod string) {
	t.Helper()
	plan := decide(t, c, policies, pod)
	if plan.Decision == inject.DecisionRefused || plan.Decision == inject.DecisionError || plan.Decision == inject.DecisionAdmitted {
		require.Empty(t, plan.Operations, "no partial patch")
		return
	}
	patched, err := patch.Apply([]byte(pod), plan.Operations)
	require.NoError(t, err)
	require.NoError(t, invariant.OnlyAdded(pod, string(patched)))
	again := decide(t, c, policies, string(patched))
	operations, _ := json.Marshal(again.Operations)
	require.Empty(t, again.Operations, "a second call adds %s", operations)
	if plan.Decision == inject.DecisionInjected {
		require.Equal(t, inject.ReasonAlreadyInjected, again.Reason)
	} else {
		require.Equal(t, plan.Reason, again.Reason)
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	seen := map[inject.Reason]bool{}
	for _, reason := range inject.Reasons() {
		require.False(t, seen[reason], "%s is listed twice", reason)
		seen[reason] = true
		require.NotEmpty(t, reason.Class(), reason)
		require.True(t, strings.HasSuffix(reason.Sentence(), "."), "%s: %q", reason, reason.Sentence())
		if reason.Class() != inject.ClassInjected {
			require.True(t, strings.HasSuffix(reason.Remedy(), "."), "%s: %q", reason, reason.Remedy())
		}
	}
	require.Equal(t, inject.ExplainedReasons(), len(seen), "a reason is missing from Reasons")
}
