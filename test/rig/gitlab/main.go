// Command gitlab runs one CI job as GitLab Runner does, with its own Kubernetes executor, in a cluster:
//
//	go run . --kubeconfig FILE --config config.toml --job job.json
//
// The configuration is that of a runner, and the job what GitLab's API answers to a runner that asks for one. The job's log goes to
// standard error. How the job ended is one line of JSON on standard output; a job that failed is not a failure of this program.
// Interrupted, it cancels the job and deletes its pod, as a runner does.
//
// What is left out is asking GitLab for jobs. Of four modules that GitLab Runner needs, the folder absent has declarations alone, since
// not every module proxy serves them. They are about job inputs, the keyword run, schedules of pods in reserve, and new names of the
// log's fields: nothing that a job with a script comes by.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gitlab.com/gitlab-org/gitlab-runner/common"
	"gitlab.com/gitlab-org/gitlab-runner/common/spec"
	"gitlab.com/gitlab-org/gitlab-runner/executors/kubernetes"
)

// result is how a job ended.
type result struct {
	// Error is what the job failed with, and Reason what GitLab is told; both are empty where it succeeded.
	Error  string `json:"error,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of the runner (required)")
	config := flag.String("config", "", "the runner's config.toml (required)")
	job := flag.String("job", "", "file with the job, as GitLab's API answers POST /jobs/request (required)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended, err := run(ctx, *kubeconfig, *config, *job)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(ended)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gitlab:", err)
		os.Exit(1)
	}
}

// run runs a job to its end.
func run(ctx context.Context, kubeconfig, configFile, jobFile string) (result, error) {
	if kubeconfig == "" || configFile == "" || jobFile == "" {
		return result{}, errors.New("--kubeconfig, --config and --job are required")
	}
	// The executor has no option for it: where config.toml names no host, it reads the file that kubectl would.
	if err := os.Setenv("KUBECONFIG", kubeconfig); err != nil {
		return result{}, err
	}
	config := common.NewConfig()
	if err := config.LoadConfig(configFile); err != nil {
		return result{}, fmt.Errorf("reading %s: %w", configFile, err)
	}
	if len(config.Runners) != 1 {
		return result{}, fmt.Errorf("%s has %d runners, and not one", configFile, len(config.Runners))
	}
	text, err := os.ReadFile(jobFile)
	if err != nil {
		return result{}, err
	}
	var job spec.Job
	if err := json.Unmarshal(text, &job); err != nil {
		return result{}, fmt.Errorf("reading %s: %w", jobFile, err)
	}

	provider, runner := kubernetes.NewProvider(), config.Runners[0]
	data, err := provider.Acquire(runner)
	if err != nil {
		return result{}, err
	}
	defer provider.Release(runner, data)
	build, err := common.NewBuild(job, runner, make(chan os.Signal), data, provider)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	err = build.Run(ctx, config, &common.Trace{Writer: os.Stderr})
	return outcome(err, time.Since(began)), nil
}

// outcome says how a job ended, as Build.Run tells GitLab: what is no failure of the build is one of the runner's system.
func outcome(err error, took time.Duration) result {
	ended := result{Seconds: took.Seconds()}
	if err == nil {
		return ended
	}
	ended.Error, ended.Reason = err.Error(), string(common.RunnerSystemFailure)
	if failure := (*common.BuildError)(nil); errors.As(err, &failure) && failure.FailureReason != "" {
		ended.Reason = string(failure.FailureReason)
	}
	return ended
}
