package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

func TestRowsAreMediansOfTheRounds(t *testing.T) {
	r := rowOf(variantOurs, 1, []burst{
		{latencies: []time.Duration{1, 2}, each: 10, cpu: 5, calls: 1}, {latencies: []time.Duration{9}, each: 30, cpu: 7, calls: 2},
	})
	require.Equal(t, figures.CreationRow{
		Variant: variantOurs, Title: "ours", Clients: 1, Pods: 3, Latency: 2, Each: 20, CPU: 6, Calls: 1.5,
	}, r)
}

func TestOursMayBeAsDearAsThePolicy(t *testing.T) {
	row := func(variant string, clients int, each time.Duration) figures.CreationRow {
		return figures.CreationRow{Variant: variant, Clients: clients, Each: each}
	}
	c := &figures.Creation{Rows: []figures.CreationRow{
		row(variantOurs, 1, 20), row(variantPolicy, 1, 20), row(variantOurs, 8, 20), row(variantPolicy, 8, 19), row(variantOurs, 9, 20),
	}}
	judge(c)
	require.Len(t, c.Verdicts, 2, "with 9 clients there is nothing to compare with")
	require.True(t, c.Verdicts[0].OK)
	require.False(t, c.Verdicts[1].OK)
	require.Equal(t, "time per creation, 8 clients", c.Verdicts[1].What)
}

func TestContentsLeaveOutWhatIsNewInEveryPod(t *testing.T) {
	found, err := contents([]byte(`{"metadata": {"annotations": {"a": "b"}}, "spec": {"securityContext": {"supplementalGroups": [7]},
		"containers": [{"name": "c", "env": [{"name": "N", "value": "v"}], "volumeMounts": [{"name": "kube-api-access-x"}, {"name": "v"}]}],
		"volumes": [{"name": "kube-api-access-x"}]}}`))
	require.NoError(t, err)
	require.Len(t, found, 5)
	require.Contains(t, found, "env c N=v")
	require.Contains(t, found, "annotation a")
}
