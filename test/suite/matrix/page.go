package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/dagger-inject/dagger-inject/inject"
)

//go:embed head.md
var head string

// columns are the runner systems in the order of docs/runners.md, by the names that it gives them.
var columns = []struct {
	system inject.System
	title  string
}{
	{inject.SystemARC, "ARC runner scale sets"},
	{inject.SystemARCLegacy, "ARC, legacy"},
	{inject.SystemARCHooks, "ARC container hooks"},
	{inject.SystemGitLab, "GitLab Runner"},
	{inject.SystemTekton, "Tekton"},
	{inject.SystemArgo, "Argo Workflows"},
	{inject.SystemJenkins, "Jenkins"},
	{inject.SystemBuildkite, "Buildkite"},
	{inject.SystemWoodpecker, "Woodpecker"},
	{inject.SystemDrone, "Drone"},
}

// page returns docs/support.md for results that are sorted.
func page(results []*result) string {
	var b strings.Builder
	b.WriteString(head)
	byRunner(&b, results)
	byEngine(&b, results)
	whole(&b, results)
	skipped(&b, results)
	return b.String()
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func header(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}

// byRunner is the table of runner systems and versions of Kubernetes.
func byRunner(b *strings.Builder, results []*result) {
	b.WriteString("## Runner systems\n\n")
	titles := []string{"runner system"}
	for _, r := range results {
		titles = append(titles, "Kubernetes "+r.Kubernetes)
	}
	header(b, titles...)
	for _, column := range columns {
		cells := []string{column.title}
		for _, r := range results {
			cells = append(cells, r.Runners[string(column.system)].cell())
		}
		row(b, cells...)
	}
	b.WriteString("\n")
}

// cell says what became of a system's tests.
func (r *runner) cell() string {
	if r == nil {
		return notRun
	}
	all := r.Recorded
	all.Passed, all.Failed = all.Passed+r.OwnCode.Passed, all.Failed+r.OwnCode.Failed
	verdict := all.verdict()
	if verdict == passed && r.OwnCode.verdict() == passed {
		verdict += ", own code too"
	}
	return verdict
}

// byEngine is the table of runner systems and engines. A cell names the versions of Kubernetes at which it passed.
func byEngine(b *strings.Builder, results []*result) {
	engines := map[string]bool{}
	for _, r := range results {
		for _, of := range r.Runners {
			for engine := range of.Engines {
				engines[engine] = true
			}
		}
	}
	sorted := slices.SortedFunc(maps.Keys(engines), func(a, b string) int { return semver.Compare(b, a) })
	b.WriteString("## Engines\n\nEach cell names the versions of Kubernetes at which it passed.\n\n")
	titles := []string{"Dagger Engine"}
	for _, column := range columns {
		titles = append(titles, column.title)
	}
	header(b, titles...)
	for _, engine := range sorted {
		cells := []string{engine}
		for _, column := range columns {
			cells = append(cells, engineCell(results, string(column.system), engine))
		}
		row(b, cells...)
	}
	b.WriteString("\n")
}

func engineCell(results []*result, system, engine string) string {
	at := map[string][]string{}
	for _, r := range slices.Backward(results) {
		verdict := notRun
		if of := r.Runners[system]; of != nil {
			verdict = of.Engines[engine].verdict()
		}
		minor, _ := r.minor() // read found it valid
		at[verdict] = append(at[verdict], strings.TrimPrefix(minor, "v"))
	}
	var parts []string
	if len(at[passed]) > 0 {
		parts = append(parts, strings.Join(at[passed], ", "))
	}
	if len(at[failed]) > 0 {
		parts = append(parts, "failed: "+strings.Join(at[failed], ", "))
	}
	if len(parts) == 0 {
		return notRun
	}
	return strings.Join(parts, "; ")
}

// whole is the table of all tests of a version.
func whole(b *strings.Builder, results []*result) {
	b.WriteString("## All tests\n\n`test/suite/integration`, in which other things are tested than the pods of runner systems.\n\n")
	header(b, "Kubernetes", "passed", "skipped", "failed", "run on")
	for _, r := range results {
		all := r.total()
		row(b, r.Kubernetes, fmt.Sprint(all.Passed), fmt.Sprint(all.Skipped), fmt.Sprint(all.Failed), r.Date)
	}
	b.WriteString("\n")
	for _, r := range results {
		if len(r.Failed) > 0 {
			_, _ = fmt.Fprintf(b, "At %s failed: `%s`.\n\n", r.Kubernetes, strings.Join(r.Failed, "`, `"))
		}
	}
}

// skipped lists the reasons for which tests were skipped.
func skipped(b *strings.Builder, results []*result) {
	b.WriteString("## What was skipped\n\n")
	header(b, "Kubernetes", "tests", "reason")
	for _, r := range results {
		tests := map[string][]string{}
		for name, reason := range r.Skipped {
			tests[reason] = append(tests[reason], name)
		}
		for _, reason := range slices.Sorted(maps.Keys(tests)) {
			names := tests[reason]
			slices.Sort(names)
			row(b, r.Kubernetes, "`"+strings.Join(names, "`, `")+"`", strings.ReplaceAll(reason, "|", `\|`))
		}
	}
}
