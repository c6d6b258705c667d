package migrate

import (
	"strings"
	"testing"

	"github.com/dagger-inject/dagger-inject/config"
)

// FuzzRun holds that no file makes a run panic or find that an edit of its own broke something: those errors name a defect.
func FuzzRun(f *testing.F) {
	for name, text := range samples(f) {
		f.Add(string(text), strings.HasSuffix(name, ".toml"))
	}
	// A block without an end of its line, and the mount alone in a pod that nothing can be injected into.
	f.Add("c: |\n  [[runners]]\n    environment = [\"_EXPERIMENTAL_DAGGER_RUNNER_HOST=tcp://a:1\"]\n"+
		"    [runners.kubernetes]\n      namespace = \"b\"", false)
	f.Add("kind: Pod\nspec: {volumes: [{name: a, hostPath: {path: /run/dagger}}], containers: []}\n", false)
	f.Fuzz(func(t *testing.T, text string, isTOML bool) {
		if len(text) > 16<<10 {
			return
		}
		name := "file.yaml"
		if isTOML {
			name = "file.toml"
		}
		report, err := Run([]Input{{name, []byte(text)}}, Options{Cluster: config.BuiltIn()})
		if err != nil {
			if strings.Contains(err.Error(), "defect") {
				t.Fatal(err)
			}
			return
		}
		_ = report.Text()
		for _, w := range report.Files[0].Workloads {
			for _, d := range w.Differences {
				if d.Means == meansDefect {
					t.Fatalf("%s: %s", w.Name, d)
				}
			}
		}
	})
}
