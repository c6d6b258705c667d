package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkLookup(b *testing.B) {
	store, names, err := newStore(10_000)
	require.NoError(b, err)
	lookUp(b, store, names)
}

func TestALookupDoesNotAllocate(t *testing.T) {
	store, names, err := newStore(100)
	require.NoError(t, err)
	i := 0
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_ = store.Policies(names[i%len(names)])
		i++
	}))
}

func TestThePoliciesAreValidAndDiffer(t *testing.T) {
	store, names, err := newStore(100)
	require.NoError(t, err)
	documents := map[string]bool{}
	for _, name := range names {
		require.NoError(t, store.Policies(name).Err())
		documents[namespacePolicy(name, 0)] = true
		documents[namespacePolicy(name, 1)] = true
	}
	require.Len(t, documents, 2*len(names))
	require.NotEqual(t, clusterPolicy(0), clusterPolicy(1), "the built-in policy has another image than builtInImage")
}
