package inject_test

import (
	"testing"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/fixtures"
)

// BenchmarkDecide is one decision, the index of the pod's JSON included.
func BenchmarkDecide(b *testing.B) {
	for _, c := range fixtures.All(b) {
		switch c.Name {
		case "gha-dind", "wait-socket-arc", "gitlab-default", "mesh-istio-native-gitlab-default":
		default:
			continue
		}
		pod, facts, policies := string(c.Pod(b)), c.Facts(b), c.Policies(b)
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(int64(len(pod)))
			b.ReportAllocs()
			var d rawjson.Document
			for b.Loop() {
				root, err := d.Parse(pod)
				if err != nil {
					b.Fatal(err)
				}
				if plan := inject.Decide(inject.Input{Pod: root, Namespace: facts, Policies: policies, Version: "dev"}); len(plan.Operations) == 0 {
					b.Fatal(plan.Reason)
				}
			}
		})
	}
}
