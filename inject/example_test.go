package inject_test

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// A pod that asks for an engine is told where it is. The operations are additions alone.
func ExampleDecide() {
	const pod = `{"metadata":{"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"job","image":"alpine"}]}}`
	const policy = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine:
  transport: tcp
  tcp: {address: dagger-engine.ci.svc:2555}
cli: {delivery: none}
wait: {enabled: false}
`
	document, err := new(rawjson.Document).Parse(pod)
	if err != nil {
		fmt.Println(err)
		return
	}
	plan := inject.Decide(inject.Input{
		Pod:       document,
		Namespace: inject.Namespace{Name: "ci"},
		Policies:  inject.NewPolicies(config.FromFile("policy.yaml", []byte(policy), config.OriginCluster), nil, nil),
	})
	fmt.Println(plan.Decision, plan.Status.Containers)
	patched, err := patch.Apply([]byte(pod), plan.Operations)
	if err != nil {
		fmt.Println(err)
		return
	}
	var result corev1.Pod
	if err := json.Unmarshal(patched, &result); err != nil {
		fmt.Println(err)
		return
	}
	for _, variable := range result.Spec.Containers[0].Env {
		fmt.Printf("%s=%s\n", variable.Name, variable.Value)
	}
	// Output:
	// injected [job]
	// _EXPERIMENTAL_DAGGER_RUNNER_HOST=tcp://dagger-engine.ci.svc:2555
}
