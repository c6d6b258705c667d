package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

func TestSmallClustersHaveStricterLimits(t *testing.T) {
	measured := func(of size) *figures.Policies {
		return &figures.Policies{
			Namespaces: of.namespaces, Engines: of.engines, Ready: 3 * time.Second, EnginesKnown: 5100 * time.Millisecond,
			Memory: []figures.Reading{{Peak: 70 << 20}},
			Effects: []figures.Effect{
				effectOf("a policy", []time.Duration{3 * time.Millisecond, time.Millisecond, 1001 * time.Millisecond}),
			},
			LookupAllocations: 0.0001,
		}
	}
	missed := func(r *figures.Report) (what []string) {
		for _, v := range r.Missed() {
			what = append(what, v.What)
		}
		return what
	}
	of := size{1000, 0}
	r := reportOf(of, measured(of))
	require.Nil(t, r.PoliciesMany)
	require.Equal(t, 3*time.Millisecond, r.Policies.Effects[0].P50)
	require.Equal(t, []string{"1,000 namespaces: from start to ready", "1,000 namespaces: resident memory at its highest",
		"1,000 namespaces: slowest effect of a policy"}, missed(r))
	of = size{1000, 1}
	r = reportOf(of, measured(of))
	require.Nil(t, r.Policies)
	require.Equal(t, []string{"1,000 namespaces, 1 engines: from start until all engines are known",
		"1,000 namespaces, 1 engines: slowest effect of a policy"}, missed(r))
	of = size{1001, 0}
	require.NotNil(t, reportOf(of, measured(of)).PoliciesMany)
}
