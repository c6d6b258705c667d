package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// gitlabPatience is more than the 50 seconds for which GitLab Runner tries again.
const gitlabPatience = 3 * time.Minute

// gitlabProgram is GitLab Runner's executor with one job, built once.
var gitlabProgram = sync.OnceValues(func() (string, error) {
	dir, err := tools.Build(context.Background(), os.Stderr, "rig/gitlab", "gitlab")
	return filepath.Join(dir, "gitlab"), err
})

// gitlabJob is a job and the runner that has it.
type gitlabJob struct {
	namespace string
	// kubernetes is more of [runners.kubernetes] in the runner's config.toml.
	kubernetes string
	// variables are the job's.
	variables map[string]string
}

// gitlabRun is GitLab Runner at work on a job.
type gitlabRun struct {
	namespace string
	cmd       *exec.Cmd
	log       program.Log
	out       bytes.Buffer
	done      chan struct{}
	err       error
	finished  time.Time

	mu      sync.Mutex
	created []podCreation
}

// podCreation is an attempt to create a pod and the answer to it.
type podCreation struct {
	at   time.Time
	code int
}

// gitlabResult is what test/rig/gitlab prints when the job has ended.
type gitlabResult struct {
	Error   string
	Reason  string
	Seconds float64
}

// startGitLab starts GitLab Runner with a job.
func startGitLab(t *testing.T, job gitlabJob) *gitlabRun {
	t.Helper()
	aboutOwnCode(t, inject.SystemGitLab)
	needsRunners(t)
	path, err := gitlabProgram()
	require.NoError(t, err)
	run := &gitlabRun{namespace: job.namespace, done: make(chan struct{})}
	kubeconfig, err := shared.Kubeconfig(&rest.Config{Host: run.watched(t)})
	require.NoError(t, err)
	dir := t.TempDir()
	settings, description := filepath.Join(dir, "config.toml"), filepath.Join(dir, "job.json")
	require.NoError(t, os.WriteFile(settings, []byte(gitlabConfig(job)), 0o600))
	require.NoError(t, os.WriteFile(description, gitlabDescription(t, job), 0o600))

	run.cmd = exec.Command(path, "--kubeconfig", kubeconfig, "--config", settings, "--job", description)
	run.cmd.Stdout, run.cmd.Stderr = &run.out, &run.log
	require.NoError(t, run.cmd.Start())
	go func() {
		defer close(run.done)
		run.err, run.finished = run.cmd.Wait(), time.Now()
	}()
	t.Cleanup(func() {
		_ = run.cmd.Process.Kill()
		<-run.done
		if t.Failed() {
			t.Log(run.log.String())
		}
	})
	return run
}

func gitlabConfig(job gitlabJob) string {
	return fmt.Sprintf(`
[[runners]]
  name = "k8s-runner"
  url = "https://gitlab.example.com"
  token = "abcdefghijklmnopqrst"
  executor = "kubernetes"
  [runners.kubernetes]
    namespace = %q
    image = "registry.example.com/ci:1"
    poll_interval = 1
    %s
`, job.namespace, job.kubernetes)
}

// gitlabDescription is what GitLab's API answers to a runner that asks for a job.
func gitlabDescription(t *testing.T, job gitlabJob) []byte {
	t.Helper()
	variables := []map[string]any{{"key": "CI_JOB_ID", "value": "4242", "public": true}}
	for key, value := range job.variables {
		variables = append(variables, map[string]any{"key": key, "value": value, "public": true})
	}
	text, err := json.Marshal(map[string]any{
		"id": 4242, "token": "job-token",
		"job_info":    map[string]any{"name": "test", "stage": "test", "project_id": 77, "project_name": "widgets"},
		"git_info":    map[string]any{"repo_url": "https://gitlab.example.com/acme/widgets.git", "ref": "main", "ref_type": "branch"},
		"runner_info": map[string]any{"timeout": 3600},
		"variables":   variables,
		"steps": []map[string]any{
			{"name": "script", "script": []string{"dagger call test"}, "timeout": 3600, "when": "on_success"},
		},
		"services": []map[string]any{{"name": "registry.example.com/postgres:17", "alias": "db"}},
	})
	require.NoError(t, err)
	return text
}

// watched returns the address of a forwarder to the API server that notes when pods are asked for and what the answer is.
func (r *gitlabRun) watched(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(shared.Config().Host)
	require.NoError(t, err)
	transport, err := rest.TransportFor(shared.Config())
	require.NoError(t, err)
	type began struct{}
	forward := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(target) },
		ModifyResponse: func(response *http.Response) error {
			if response.Request.Method == http.MethodPost && strings.HasSuffix(response.Request.URL.Path, "/pods") {
				at, _ := response.Request.Context().Value(began{}).(time.Time)
				r.mu.Lock()
				defer r.mu.Unlock()
				r.created = append(r.created, podCreation{at: at, code: response.StatusCode})
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		forward.ServeHTTP(w, request.WithContext(context.WithValue(request.Context(), began{}, time.Now())))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// creations returns the attempts to create a pod so far.
func (r *gitlabRun) creations() []podCreation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.created)
}

// codes returns what the API server answered to them.
func (r *gitlabRun) codes() []int {
	var all []int
	for _, c := range r.creations() {
		all = append(all, c.code)
	}
	return all
}

// wait waits for something while the runner works.
func (r *gitlabRun) wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.NoError(t, poll.Until(t.Context(), what, tick, gitlabPatience, func(context.Context) error {
		if done() {
			return nil
		}
		select {
		case <-r.done:
			return poll.Fatal(fmt.Errorf("the runner ended: %s", r.out.String()))
		default:
			return errors.New("not yet")
		}
	}))
}

// pod waits for the job's pod.
func (r *gitlabRun) pod(t *testing.T) corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	r.wait(t, "the job has a pod", func() bool {
		require.NoError(t, shared.Client().List(t.Context(), &pods, client.InNamespace(r.namespace)))
		return len(pods.Items) == 1
	})
	return pods.Items[0]
}

// ended waits for the job's end.
func (r *gitlabRun) ended(t *testing.T) gitlabResult {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(gitlabPatience):
		require.Fail(t, "the job does not end")
	}
	require.NoError(t, r.err)
	var result gitlabResult
	require.NoError(t, json.Unmarshal(r.out.Bytes(), &result), r.out.String())
	return result
}

// cancel cancels the job, whose pod the runner then deletes.
func (r *gitlabRun) cancel(t *testing.T) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, "job_canceled", r.ended(t).Reason)
}
