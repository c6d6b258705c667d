package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// TestKubectlRunsThePlugin has the real kubectl find the program by its name, pass arguments on and complete them.
func TestKubectlRunsThePlugin(t *testing.T) {
	binaries, err := tools.Build(t.Context(), os.Stderr, tools.Kubernetes, "kubectl")
	require.NoError(t, err)
	kubectl := filepath.Join(binaries, "kubectl")
	program, err := binary()
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.Symlink(program, filepath.Join(folder, "kubectl-dagger")))
	require.NoError(t, os.Symlink(kubectl, filepath.Join(folder, "kubectl")))
	complete, err := filepath.Abs("../../../build/plugin/kubectl_complete-dagger")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(complete, filepath.Join(folder, filepath.Base(complete))))
	kubeconfig, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	run := func(args ...string) string {
		cmd := exec.Command(kubectl, args...)
		cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.NoError(t, shared.CreateNamespace(t.Context(), "plugin-jobs", map[string]string{"dagger.io/inject": "true"}, nil))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "plugin-jobs", Name: "job-x7k2m", Labels: map[string]string{"dagger.io/inject": "false"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "job", Image: "i"}}},
	}
	require.NoError(t, shared.CreateServiceAccounts(t.Context(), "plugin-jobs", "default"))
	require.NoError(t, shared.Client().Create(t.Context(), pod))

	require.Contains(t, run("plugin", "list"), "kubectl-dagger")
	require.Contains(t, run("dagger", "explain", "--help"), "kubectl dagger explain pod arc-runner-set-x7k2m")
	require.Contains(t, run("dagger", "version"), "dagger-inject dev")
	require.Contains(t, run("__complete", "dagger", "expl"), "explain")
	require.Contains(t, run("__complete", "dagger", "explain", "pod", "-n", "plugin-jobs", ""), "job-x7k2m")
	require.Contains(t, run("__complete", "dagger", "explain", "namespace", ""), "plugin-jobs")
	require.Contains(t, strings.Fields(run("__complete", "dagger", "policy", "show", "ci", "--profile", "")), "policy")

	explained := exec.Command(filepath.Join(folder, "kubectl-dagger"), "explain", "pod", "job-x7k2m", "-n", "plugin-jobs",
		"--kubeconfig", kubeconfig)
	out, _ := explained.CombinedOutput() // the exit code says that nothing calls a webhook here
	require.Contains(t, string(out), "Pod plugin-jobs/job-x7k2m")
}
