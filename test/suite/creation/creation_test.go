package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRowsAreMediansOfTheRounds(t *testing.T) {
	r := rowOf(variantOurs, 1, []burst{
		{latencies: []time.Duration{1, 2}, each: 10, cpu: 5, calls: 1}, {latencies: []time.Duration{9}, each: 30, cpu: 7, calls: 2},
	})
	require.Equal(t, row{Variant: variantOurs, Clients: 1, Pods: 3, Latency: 2, Each: 20, CPU: 6, Calls: 1.5}, r)
	require.False(t, missed([]row{r, {Variant: variantPolicy, Clients: 1, Each: 20}}))
	require.True(t, missed([]row{r, {Variant: variantPolicy, Clients: 1, Each: 19}}))
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
