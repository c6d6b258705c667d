package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// reportOf is what a part's program writes.
func reportOf(t *testing.T, name string) string {
	t.Helper()
	run := figures.Run{Verdicts: []figures.Verdict{figures.AtMost(name, "a figure", 3, 2, "")}}
	r := &figures.Report{}
	switch name {
	case figures.PartRequest:
		r.Request = &figures.Request{Run: run}
	case figures.PartPolicies:
		r.Policies = &figures.Policies{Run: run}
	case figures.PartPoliciesMany:
		r.PoliciesMany = &figures.Policies{Run: run}
	case figures.PartCreation:
		r.Creation = &figures.Creation{Run: run}
	case figures.PartStartup:
		r.Startup = &figures.Startup{Run: run}
	}
	var text strings.Builder
	require.NoError(t, r.JSON(&text))
	return text.String()
}

// newRunner runs scripts, by the names of parts, in place of their programs.
func newRunner(t *testing.T, scripts map[string]string) *runner {
	t.Helper()
	dir := t.TempDir()
	build := func(_ context.Context, _, _ string, p *part) (string, error) {
		script, has := scripts[p.name]
		if !has {
			return "", fmt.Errorf("there is no program of %s", p.name)
		}
		path := filepath.Join(dir, p.name+".sh")
		return path, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700)
	}
	r := &runner{root: dir, dir: filepath.Join(dir, "bench"), progress: io.Discard, build: build, missing: map[string]string{}}
	unlock, err := r.lock()
	require.NoError(t, err)
	t.Cleanup(unlock)
	return r
}

func prints(text string) string { return "cat <<'END'\n" + text + "END\n" }

func TestWhatIsFoundSurvivesFailures(t *testing.T) {
	r := newRunner(t, map[string]string{
		figures.PartRequest:      prints(reportOf(t, figures.PartRequest)),
		figures.PartPoliciesMany: prints(reportOf(t, figures.PartPoliciesMany)) + "echo starting >&2\necho no etcd >&2\nexit 3\n",
		figures.PartCreation:     prints(`{"creation": {"rows": [1`),
		figures.PartStartup:      prints(reportOf(t, figures.PartRequest)),
	})
	var chosen []*part
	for _, p := range parts {
		named := *p
		named.cannot = nil
		chosen = append(chosen, &named)
	}
	require.NoError(t, os.WriteFile(r.resultOf(parts[2]), []byte(reportOf(t, figures.PartPoliciesMany)), 0o600))
	err := r.runAll(t.Context(), chosen)
	require.ErrorContains(t, err, "policies failed after 0s: there is no program of policies")
	require.ErrorContains(t, err, "policies-many failed after 0s: exit status 3: no etcd")
	require.ErrorContains(t, err, "creation failed after 0s: reading a report: ")
	require.ErrorContains(t, err, "startup failed after 0s: its report has no part startup")

	report, earlier, err := r.combine(chosen)
	require.NoError(t, err)
	require.Empty(t, earlier)
	require.NotNil(t, report.Request)
	require.Nil(t, report.PoliciesMany, "an earlier run found that, and this one did not")
	var table bytes.Buffer
	require.NoError(t, show(&table, figures.OutputText, report, r.missing, earlier))
	for _, want := range []string{"a figure", "MISSED", "failed: exit status 3: no etcd", "failed: its report has no part startup"} {
		require.Contains(t, table.String(), want)
	}
	require.Equal(t, 4, strings.Count(table.String(), "| missing"))
}

func TestPartsThatAreNotRunAreOfEarlier(t *testing.T) {
	scripts := map[string]string{}
	for _, p := range parts {
		scripts[p.name] = prints(reportOf(t, p.name))
	}
	r := newRunner(t, scripts)
	chosen, err := choose("creation, request")
	require.NoError(t, err)
	require.NoError(t, r.runAll(t.Context(), chosen))
	chosen, err = choose("request")
	require.NoError(t, err)
	require.NoError(t, r.runAll(t.Context(), chosen))
	report, earlier, err := r.combine(chosen)
	require.NoError(t, err)
	require.Equal(t, []string{figures.PartCreation}, earlier)
	require.NotNil(t, report.Creation)
	require.Equal(t, "not run", r.missing[figures.PartStartup])

	require.NoError(t, os.MkdirAll(filepath.Join(r.root, filepath.Dir(measuredFile)), 0o755))
	old := &figures.Report{Startup: &figures.Startup{}}
	var text strings.Builder
	require.NoError(t, old.JSON(&text))
	require.NoError(t, os.WriteFile(filepath.Join(r.root, measuredFile), []byte(text.String()), 0o600))
	require.NoError(t, r.record(t.Context(), report, nil))
	recorded, err := figures.ReadFile(filepath.Join(r.root, measuredFile))
	require.NoError(t, err)
	require.NotNil(t, recorded.Startup, "what was not measured again stays")
	require.NotNil(t, recorded.Request)

	require.NoError(t, os.WriteFile(r.resultOf(parts[1]), []byte(`{"policies": {"old": 1}}`), 0o600))
	_, _, err = r.combine(nil)
	require.ErrorContains(t, err, `policies.json: reading a report: json: unknown field "old"`)
}

func TestAnInterruptedRunSaysSo(t *testing.T) {
	r := newRunner(t, map[string]string{figures.PartRequest: "echo started >&2\nexec sleep 60\n"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.progress = writerFunc(func(said []byte) (int, error) {
		if bytes.Contains(said, []byte("started")) {
			cancel()
		}
		return len(said), nil
	})
	require.ErrorIs(t, r.runAll(ctx, parts[:2]), context.Canceled)
	require.Contains(t, r.missing[figures.PartRequest], "interrupted after ")
	require.Equal(t, "not run: interrupted", r.missing[figures.PartPolicies])
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestTwoRunsDoNotMeasureEachOther(t *testing.T) {
	_, err := newRunner(t, nil).lock()
	require.ErrorContains(t, err, "is in use by another run")
}

func TestPartsAreChosenByName(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, 5)
	none, err := choose("none")
	require.NoError(t, err)
	require.Empty(t, none)
	named, err := choose("startup,request")
	require.NoError(t, err)
	require.Len(t, named, 2)
	require.Nil(t, named[1].cannot, "what is asked for by name is tried")
	_, err = choose("request,startups")
	require.ErrorContains(t, err, `-parts "request,startups": there is no part "startups", only request, policies, policies-many, creation, startup`)
}
