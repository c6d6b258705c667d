package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

func TestTestPassesOnOurOwnGoldens(t *testing.T) {
	code, out, report := execute(t, "", "test", filepath.Join(repository, "test/data/fixtures"), "-o", "json")
	require.Zero(t, code, out+report)
	var parsed testReport
	require.NoError(t, json.Unmarshal([]byte(out), &parsed))
	require.Len(t, parsed.Cases, len(fixtures.All(t)))
	require.Equal(t, len(parsed.Cases), parsed.Passed)
}

func TestTheSampleOfAPolicyRepositoryPasses(t *testing.T) {
	t.Chdir(filepath.Join(repository, policyRepository))
	code, out, report := execute(t, "", "test", ".")
	require.Zero(t, code, out+report)
	require.Contains(t, out, "teams/web/tests/database             passed  skipped (not_a_runner)\n")
	require.Contains(t, out, "\n4 cases: 4 passed, 0 failed\n")
	teams, err := filepath.Glob("teams/*/namespace-policy.yaml")
	require.NoError(t, err)
	code, out, report = execute(t, "", append([]string{"lint", "--cluster-policy", "policy.yaml"}, teams...)...)
	require.Zero(t, code, out+report)
}

// head begins a policy.
const head = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"

// policyCases makes a folder with two cases, of which one shares a policy and one has its own.
func policyCases(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\nspec: {containers: [{name: a}]}\n"
	write("policy.yaml", head+"engine: {transport: tcp, tcp: {address: 'shared:1'}}\ncli: {delivery: none}\n")
	write("shares/pod.yaml", pod)
	write("own/deep/pod.yaml", pod)
	write("own/policy.yaml", head+"engine: {transport: tcp, tcp: {address: 'own:1'}}\ncli: {delivery: none}\n")
	return dir
}

func TestTestComparesUpdatesAndInherits(t *testing.T) {
	dir := policyCases(t)
	code, out, _ := execute(t, "", "test", dir)
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "nothing is expected yet")

	code, out, _ = execute(t, "", "test", dir, "--update")
	require.Zero(t, code, out)
	require.Contains(t, out, "2 cases: 0 passed, 0 failed, 2 updated\n")
	for file, address := range map[string]string{"shares": "tcp://shared:1", "own/deep": "tcp://own:1"} {
		text, err := os.ReadFile(filepath.Join(dir, file, "expected.yaml"))
		require.NoError(t, err)
		require.Contains(t, string(text), address)
		require.NotContains(t, string(text), dir, "the policy is named as seen from the folder, so that it is the same on every machine")
	}
	code, out, _ = execute(t, "", "test", dir)
	require.Zero(t, code, out)

	// A policy that changes nothing for the pods, but for its name and hash, is no failure.
	next := filepath.Join(t.TempDir(), "next.yaml")
	policy, err := os.ReadFile(filepath.Join(dir, "policy.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(next, append(policy, "containers: {exclude: [nobody]}\n"...), 0o600))
	code, out, _ = execute(t, "", "test", dir, "--run", "^shares$", "--policy", next)
	require.Zero(t, code, out)

	code, out, _ = execute(t, "", "test", dir, "--policy", next)
	require.Equal(t, exitFailure, code)
	require.Regexp(t, `own/deep +failed +injected \(injected\)\nshares +passed`, out)
	require.Contains(t, out, "value: 'tcp://own:1'}]}]}\n+")
}

func TestTestReportsAsJUnit(t *testing.T) {
	dir := policyCases(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "own/policy.yaml"), []byte(head+"engine: {transport: pigeon}\n"), 0o600))
	code, out, _ := execute(t, "", "test", dir, "-o", "junit")
	require.Equal(t, exitFailure, code)
	var suites junitSuites
	require.NoError(t, xml.Unmarshal([]byte(out), &suites))
	suite := suites.Suites[0]
	require.Equal(t, []int{2, 1, 1}, []int{suite.Tests, suite.Failures, suite.Errors})
	require.Contains(t, suite.Cases[0].Error.Text, "pigeon")
	require.Contains(t, suite.Cases[1].Failure.Text, "nothing is expected yet")
}

func TestTestBadInput(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"no folder":            {nil, "want one DIR, the folder with the cases, got 0"},
		"a folder that is not": {[]string{"/nowhere"}, "no such file or directory"},
		"no cases":             {[]string{t.TempDir()}, "has no cases: want folders with a pod.yaml"},
		"no match":             {[]string{policyCases(t), "--run", "zzz"}, "--run matches none of the 2 cases"},
		"a bad expression":     {[]string{policyCases(t), "--run", "("}, "--run: error parsing regexp"},
		"an output unheard of": {[]string{policyCases(t), "-o", "xml"}, `-o "xml" is not accepted`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, "", append([]string{"test"}, c.args...)...)
			require.Equal(t, exitBadInput, code, report)
			require.Contains(t, report, c.want)
			require.Empty(t, out)
		})
	}
}
