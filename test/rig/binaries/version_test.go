package main

import (
	"strings"
	"testing"
)

func TestWhatIsNoVersionOfKubernetes(t *testing.T) {
	for _, wanted := range []string{"", "x", "1", "v2.1", "v1.31.", "v1.31.y", "v1.31.1 -x", "latest", "v1.31.1; true"} {
		if got, err := resolve(t.Context(), wanted); err == nil || !strings.Contains(err.Error(), "is not a version of Kubernetes") {
			t.Errorf("%q: %q, %v", wanted, got, err)
		}
	}
	for _, wanted := range []string{"1.31", "v1.31", "v1.31.x", "v1.31.14", "v1.37.0-rc.1"} {
		if !versionQuery.MatchString(wanted) {
			t.Errorf("%q is one", wanted)
		}
	}
}

func TestTheModuleOfAVersion(t *testing.T) {
	theirs := goMod{Go: "1.24.0"}
	theirs.Godebug = append(theirs.Godebug, struct{ Key, Value string }{"default", "go1.24"})
	for _, r := range [][3]string{{"k8s.io/api", "./staging/src/k8s.io/api", ""}, {"example.com/a", "example.com/b", "v1.2.3"}} {
		theirs.Replace = append(theirs.Replace, replacement{Old: module{Path: r[0]}, New: module{Path: r[1], Version: r[2]}})
	}
	const want = `module kubernetes.invalid/alone

go 1.24.0

godebug default=go1.24

require k8s.io/kubernetes v1.33.13

replace k8s.io/api => k8s.io/api v0.33.13
replace example.com/a => example.com/b v1.2.3
`
	if got := moduleOf(theirs, "v1.33.13"); got != want {
		t.Errorf("got:\n%s", got)
	}
}
