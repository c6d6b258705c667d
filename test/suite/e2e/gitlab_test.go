package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// TestGitLabRunnerRunsAJobToItsEnd has GitLab Runner's own executor create the pod, run the script in it, and delete it. Its helper image
// cannot be had, so the job does nothing that needs more of it than a shell: no repository, and the strategy that reads no log files.
func TestGitLabRunnerRunsAJobToItsEnd(t *testing.T) {
	if os.Getenv("RUNNERS") != "1" {
		t.Skip("make e2e runs it: it builds GitLab Runner from its module, which takes minutes the first time")
	}
	needsOurNode(t, "the images of the job are ours")
	deployEngine(t, defaultEngine, nil)
	engine := readyEngine(t)
	program, err := tools.Build(t.Context(), os.Stderr, "rig/gitlab", "gitlab")
	require.NoError(t, err)
	dir := t.TempDir()
	settings, job := filepath.Join(dir, "config.toml"), filepath.Join(dir, "job.json")
	require.NoError(t, os.WriteFile(settings, []byte(fmt.Sprintf(`
[[runners]]
  name = "k8s-runner"
  url = "https://gitlab.example.com"
  token = "abcdefghijklmnopqrst"
  executor = "kubernetes"
  environment = ["FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY=1", "GIT_STRATEGY=none"]
  [runners.kubernetes]
    namespace = %q
    image = %q
    helper_image = %q
    pull_policy = "if-not-present"
    [runners.kubernetes.pod_labels]
      "dagger.io/inject" = "true"
`, newNamespace(t, nil, ""), cluster.runner, cluster.runner)), 0o600))
	text, err := json.Marshal(map[string]any{
		"id": 4242, "token": "job-token",
		"job_info":    map[string]any{"name": "test", "stage": "test", "project_id": 77, "project_name": "widgets"},
		"git_info":    map[string]any{"repo_url": "https://gitlab.example.com/acme/widgets.git", "ref": "main", "ref_type": "branch"},
		"runner_info": map[string]any{"timeout": 600},
		"steps":       []map[string]any{{"name": "script", "script": []string{askEngine}, "timeout": 600, "when": "on_success"}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(job, text, 0o600))

	var out, log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(program, "gitlab"),
		"--kubeconfig", os.Getenv("KUBECONFIG"), "--config", settings, "--job", job)
	cmd.Stdout, cmd.Stderr = &out, &log
	require.NoError(t, cmd.Run(), log.String())
	var ended struct{ Error, Reason string }
	require.NoError(t, json.Unmarshal(out.Bytes(), &ended), out.String())
	require.Empty(t, ended.Error+ended.Reason, log.String())
	requireAnswer(t, log.String(), engine, "v0.21.8")
}
