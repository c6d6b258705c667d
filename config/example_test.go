package config_test

import (
	"fmt"

	"github.com/dagger-inject/dagger-inject/config"
)

// A namespace's policy refines the cluster's where that allows it. What is wrong is said with its place.
func ExampleMerge() {
	const cluster = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {transport: tcp, tcp: {address: "shared.ci.svc:2555"}}
`
	const namespace = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {tcp: {address: "own.team.svc:2555"}}
`
	layers := []config.Layer{
		{Origin: config.OriginCluster, Source: "cluster", Document: []byte(cluster)},
		{Origin: config.OriginNamespace, Source: "team", Document: []byte(namespace)},
	}
	effective, err := config.Merge(layers...)
	if err != nil {
		fmt.Println(err)
		return
	}
	setBy, line := effective.Setter("engine.tcp.address")
	fmt.Printf("%s, set by %s in line %d\n", effective.Policy.Engine.TCP.Address, setBy.Source, line)

	layers[1].Document = []byte(namespace + "overrides: {fromPods: [env]}\n")
	_, err = config.Merge(layers...)
	fmt.Println(err)
	// Output:
	// own.team.svc:2555, set by team in line 4
	// team: line 5: overrides.fromPods: locked: the cluster's policy does not let namespaces set it (overrides.fromNamespaces)
}
