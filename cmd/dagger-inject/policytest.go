//go:build !js

package main

import (
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"
)

type testFlags struct {
	update    bool
	run       string
	policy    string
	engines   []string
	output    string
	pattern   *regexp.Regexp
	directory string
}

func newTestCommand(s streams) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Test policies: pods, and what they are to get",
		Long: `Test policies: pods, and what they are to get, offline and by the code of the webhook.

Each folder in DIR with a pod.yaml is a case. Beside it may stand
  policy.yaml             the cluster's policy, or the ConfigMap with it
  namespace-policy.yaml   the namespace's policy, or the ConfigMap with it
  namespace.yaml          a Namespace, for its labels and annotations
  engine.yaml             the workloads and Services of engines, as helm template writes them
  kube-version.txt        the version of the API server
A file that a case does not have is taken from the closest folder above it, up to DIR. The cases of a team so share its policy.

What is expected stands in expected.txt (the decision, its reason and warnings) and in expected.yaml (the pod, if it is changed):
what inject writes to standard error and to standard output. Which policy it was, and its hash, are not compared. --update writes
both; read the difference before you commit it.

The exit code is 0 when every case passes, 1 when one does not, and 2 when DIR has no cases or an argument is wrong.`,
		Example: `  dagger-inject test policy-tests
  dagger-inject test policy-tests --run 'gitlab-.*' --update
  dagger-inject test policy-tests -o junit > report.xml

  # Would these cases get the same under another policy of the cluster?
  dagger-inject test policy-tests --policy next.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return badInputf("want one DIR, the folder with the cases, got %d (see %s --help)", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			f.directory = filepath.Clean(args[0])
			return runTest(s, &f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.update, "update", false, "write what comes out as what is expected")
	flags.StringVar(&f.run, "run", "", "regular expression: run only the cases whose names it matches")
	flags.StringVar(&f.policy, "policy", "", "file with the cluster's policy, in place of the cases' policy.yaml")
	flags.StringArrayVar(&f.engines, "engine", nil, "manifests to read the engine off, in place of the cases' engine.yaml; may be repeated")
	flags.StringVarP(&f.output, "output", "o", "table", "table, junit (XML) or json")
	return cmd
}

func runTest(s streams, f *testFlags) error {
	write, ok := testReports[f.output]
	if !ok {
		return badInputf("-o %q is not accepted: accepted is table, junit or json", f.output)
	}
	var err error
	if f.pattern, err = regexp.Compile(f.run); err != nil {
		return badInputf("--run: %w", err)
	}
	cases, err := findCases(f.directory, f.pattern)
	if err != nil {
		return err
	}
	report := testReport{Directory: f.directory}
	for _, c := range cases {
		report.add(f.test(&c))
	}
	if err := write(s, &report); err != nil {
		return err
	}
	if report.Failed > 0 {
		return exitError{errSaid, exitFailure}
	}
	return nil
}
