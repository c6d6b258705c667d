package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCLIsCopyCountsAgainstLimitsOfStorage(t *testing.T) {
	limit := func(amount string) string { return "resources: {limits: {ephemeral-storage: " + amount + "}}" }
	cases := map[string]struct {
		spec, policy string
		want         string
		warned       bool
	}{
		"no limit": {"containers: [{name: a}]", "cli: {image: i}", "", false},
		"a limit of the container's": {"containers: [{name: a, " + limit("1Gi") + "}]", "cli: {image: i}", "up to 256Mi of the pod's limit, 1Gi",
			false},
		"of two, as one has none": {"containers: [{name: a, " + limit("100Mi") + "}, {name: b}]", "cli: {image: i}",
			"up to 256Mi of the pod's limit, 100Mi", true},
		"the sum of two": {"containers: [{name: a, " + limit("200Mi") + "}, {name: b, " + limit("100Mi") + "}]", "cli: {image: i}",
			"up to 256Mi of the pod's limit, 300Mi", false},
		"with a sidecar": {"containers: [{name: a, " + limit("200Mi") + "}], initContainers: [{name: b, restartPolicy: Always, " +
			limit("100Mi") + "}]", "cli: {image: i}", "up to 256Mi of the pod's limit, 300Mi", false},
		"an init container has more": {"containers: [{name: a, " + limit("200Mi") + "}], initContainers: [{name: b, " + limit("1Gi") + "}]",
			"cli: {image: i}", "up to 256Mi of the pod's limit, 1Gi", false},
		"ours has one": {"containers: [{name: a, " + limit("200Mi") + "}]",
			"cli: {image: i, resources: {limits: {ephemeral-storage: 2Gi}}}", "up to 256Mi of the pod's limit, 200Mi", true},
		"an image volume":             {"containers: [{name: a, " + limit("100Mi") + "}]", "cli: {image: i, delivery: image-volume}", "", false},
		"nothing that can be a limit": {"containers: [{name: a, " + limit("'lots'") + "}]", "cli: {image: i}", "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {"+c.spec+"}}")
			in.Policies, in.Cluster.ImageVolumes = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\n"+c.policy), true
			plan := Decide(in)
			require.Equal(t, c.want, plan.Status.CLIStorage)
			require.Equal(t, c.warned, len(plan.Warnings) == 1, plan.Warnings)
			if c.want == "" {
				return
			}
			again := input(t, string(mustMarshal(patched(t, in, plan))))
			again.Policies = in.Policies
			require.Empty(t, Decide(again).Operations, "ours does not count")
		})
	}
}
