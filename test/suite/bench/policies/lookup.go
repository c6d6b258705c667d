package main

import (
	"testing"

	"github.com/dagger-inject/dagger-inject/webhook"
)

// newStore returns a store with the policies of n namespaces, and their names.
func newStore(n int) (*webhook.PolicyStore, []string, error) {
	store := webhook.NewPolicyStore(releaseNamespace)
	cluster, err := configMap(releaseNamespace, clusterPolicy(0))
	if err != nil {
		return nil, nil, err
	}
	store.Set(cluster)
	names := namespaceNames(n)
	for _, name := range names {
		own, err := configMap(name, namespacePolicy(name, 0))
		if err != nil {
			return nil, nil, err
		}
		store.Set(own)
	}
	return store, names, nil
}

// lookUp asks for the policies of all namespaces in turn.
func lookUp(b *testing.B, store *webhook.PolicyStore, names []string) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		_ = store.Policies(names[i])
		if i++; i == len(names) {
			i = 0
		}
	}
}

// lookupCost is what one lookup takes: the time, and the allocations.
func lookupCost(n int) (nanos, allocations float64, err error) {
	store, names, err := newStore(n)
	if err != nil {
		return 0, 0, err
	}
	r := testing.Benchmark(func(b *testing.B) { lookUp(b, store, names) })
	return float64(r.T.Nanoseconds()) / float64(r.N), float64(r.MemAllocs) / float64(r.N), nil
}
