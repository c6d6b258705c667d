package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestAJobThatComesBeforeItsEngineWaits(t *testing.T) {
	deployEngine(t, defaultEngine, gated)
	runningEngine(t)
	pods := map[string]*corev1.Pod{}
	for system := range systems {
		pods[system] = jobPod(t, system, newNamespace(t, nil, ""), askEngine)
		createPod(t, pods[system])
	}
	for _, pod := range pods {
		eventually(t, "the wait has begun", func(ctx context.Context) error {
			if err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
				return err
			}
			if s := statusOf(pod, "dagger-wait"); s == nil || s.State.Running == nil {
				return errors.New(describe([]corev1.Pod{*pod}))
			}
			return nil
		})
	}
	openGate(t)
	for system, pod := range pods {
		ended, output := awaitJob(t, pod, system)
		require.Zero(t, ended.ExitCode, output)
		require.Contains(t, output, "version=v0.21.8")
		wait := statusOf(pod, "dagger-wait").State.Terminated
		require.Zero(t, wait.ExitCode)
		require.False(t, ended.StartedAt.Before(&wait.FinishedAt), "the job started before the wait was over")
	}
}

func TestAJobWhoseDaggerWaitsStartsBeforeItsEngine(t *testing.T) {
	deployEngine(t, defaultEngine, gated)
	runningEngine(t)
	policy := "cli: {delivery: image-volume}\nwait: {when: use}\n"
	pods := map[string]*corev1.Pod{}
	for system := range systems {
		pods[system] = jobPod(t, system, newNamespace(t, nil, policy), askEngine+" 2>&1")
		createPod(t, pods[system])
	}
	for system, pod := range pods {
		eventually(t, "the job's dagger waits", func(ctx context.Context) error {
			if err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
				return err
			}
			if s := statusOf(pod, systems[system].job); s == nil || s.State.Running == nil {
				return errors.New(describe([]corev1.Pod{*pod}))
			}
			if text := logs(t, pod, systems[system].job); !strings.Contains(text, "Waiting for an engine at unix://") {
				return fmt.Errorf("its log is %q", text)
			}
			return nil
		})
		require.Nil(t, statusOf(pod, "dagger-wait"))
	}
	openGate(t)
	for system, pod := range pods {
		ended, output := awaitJob(t, pod, system)
		require.Zero(t, ended.ExitCode, output)
		require.Contains(t, output, "version=v0.21.8")
	}
}

func TestAJobThatRunsFollowsItsEngineThroughARestart(t *testing.T) {
	needsOurNode(t, "it restarts the engine")
	deployEngine(t, defaultEngine, nil)
	first := readyEngine(t)
	pods := map[string]*corev1.Pod{}
	for system := range systems {
		pods[system] = jobPod(t, system, newNamespace(t, nil, ""), askEngine+"; until [ -e /tmp/restarted ]; do sleep 0.1; done; "+askEngine)
		createPod(t, pods[system])
	}
	for system, pod := range pods {
		job := systems[system].job
		eventually(t, "the job has asked the first engine", func(context.Context) error {
			if p := statusOf(get(t, pod), job); p == nil || p.State.Running == nil {
				return errors.New(describe([]corev1.Pod{*pod}))
			}
			if text := logs(t, pod, job); text == "" {
				return errors.New("it has printed nothing")
			}
			return nil
		})
	}
	require.NoError(t, cluster.Delete(t.Context(), &corev1.Pod{ObjectMeta: objectMeta(engineNamespace, first)}))
	eventually(t, "the first engine is gone", func(ctx context.Context) error {
		err := cluster.Get(ctx, client.ObjectKey{Namespace: engineNamespace, Name: first}, &corev1.Pod{})
		if err == nil {
			return errors.New("it is still there")
		}
		return client.IgnoreNotFound(err)
	})
	second := readyEngine(t)
	require.NotEqual(t, first, second)
	for system, pod := range pods {
		kubectl(t, "exec", "-n", pod.Namespace, pod.Name, "-c", systems[system].job, "--", "touch", "/tmp/restarted")
		ended, output := awaitJob(t, pod, system)
		require.Zero(t, ended.ExitCode, output)
		require.Regexp(t, fmt.Sprintf("(?s)engine=%s .*engine=%s ", first, second), output)
	}
}

func TestAJobWithoutAnEngineIsToldWhy(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*appsv1.DaemonSet)
		uid    int64
		policy string
		want   string // in the wait's termination message; empty: the job starts
	}{
		{name: "no engine listens on the node", change: gated, policy: "wait: {timeout: 2s}\n",
			want: "engine.sock"},
		{name: "no engine listens on the node, and the policy goes on", change: gated, policy: "wait: {timeout: 2s, onTimeout: continue}\n"},
		{name: "the socket is another group's", uid: 1000, policy: "wait: {timeout: 2s}\n",
			change: func(set *appsv1.DaemonSet) {
				set.Spec.Template.Spec.Containers[0].Command = []string{"sh", "-c", "exec dagger-engine --group 4242"}
			}, want: "4242"},
	} {
		t.Run(test.name, func(t *testing.T) {
			deployEngine(t, defaultEngine, test.change)
			runningEngine(t)
			for system := range systems {
				t.Run(system, func(t *testing.T) {
					pod := jobPod(t, system, newNamespace(t, nil, test.policy), "echo started")
					runAs(pod, test.uid)
					if test.want == "" {
						require.Equal(t, "started\n", runJob(t, pod, system))
						return
					}
					createPod(t, pod)
					requireWaitFailed(t, pod, test.want)
				})
			}
		})
	}
}

// requireWaitFailed waits until the pod has failed, for what its wait says.
func requireWaitFailed(t *testing.T, pod *corev1.Pod, want string) {
	t.Helper()
	eventually(t, "the pod has failed", func(context.Context) error {
		if get(t, pod).Status.Phase != corev1.PodFailed {
			return errors.New(describe([]corev1.Pod{*pod}))
		}
		return nil
	})
	wait := statusOf(pod, "dagger-wait").State.Terminated
	require.NotNil(t, wait)
	require.NotZero(t, wait.ExitCode)
	require.Contains(t, wait.Message, want)
	t.Log(wait.Message)
}
