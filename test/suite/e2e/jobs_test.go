package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// job is one of the jobs that are created all the while.
type job struct {
	engine release
	ended  bool
	output string
}

// jobs are created one after the other for each runner system, until they are stopped.
type jobs struct {
	workers sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	made   []*job // in the order in which they were created
	failed error
}

// startJobs starts creating jobs in a namespace.
func startJobs(t *testing.T, namespace string) *jobs {
	t.Helper()
	j := &jobs{}
	j.ctx, j.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() {
		j.cancel()
		j.workers.Wait()
	})
	for system, s := range systems {
		template := jobPod(t, system, namespace, askEngine)
		j.workers.Go(func() {
			for j.ctx.Err() == nil {
				// A test that has failed does not wait for jobs whose engine is being taken away.
				if err := j.runOne(t.Context(), template.DeepCopy(), s.job); err != nil {
					j.mu.Lock()
					j.failed = errors.Join(j.failed, fmt.Errorf("a job of %s: %w", system, err))
					j.mu.Unlock()
					return
				}
			}
		})
	}
	return j
}

// runOne creates a job, waits until it has ended, and deletes it. It is an error if the job is refused, fails, or is not of one engine.
func (j *jobs) runOne(ctx context.Context, pod *corev1.Pod, container string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := cluster.Create(ctx, pod); err != nil { // nobody tries again: none is to be refused
		return err
	}
	now := &client.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	defer func() { err = errors.Join(err, cluster.Delete(context.WithoutCancel(ctx), pod, now)) }()
	one := &job{}
	var status inject.Status
	if err := json.Unmarshal([]byte(pod.Annotations[inject.AnnotationStatus]), &status); err != nil {
		return err
	}
	for _, r := range []release{oldRelease, newRelease} {
		if status.ReadFrom == r.workload() {
			one.engine = r
		}
	}
	j.mu.Lock()
	j.made = append(j.made, one)
	j.mu.Unlock()
	output, err := outputOf(ctx, pod, container)
	if err != nil {
		return err
	}
	v := one.engine.version
	if v == "" || !strings.HasSuffix(status.CLIImage, ":"+v) || !strings.Contains(output, " version="+v+"+") ||
		!strings.Contains(output, " cli="+v+" ") || !strings.Contains(output, " host=unix://") {
		return fmt.Errorf("it was given %s with the CLI of %s, and printed %s", status.ReadFrom, status.CLIImage, output)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	one.ended, one.output = true, output
	return nil
}

// outputOf waits until a pod's container has ended well, and returns what it printed.
func outputOf(ctx context.Context, pod *corev1.Pod, container string) (string, error) {
	err := poll.Until(ctx, "the job has ended", 100*time.Millisecond, patience, func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return poll.Fatal(err)
		}
		s := statusOf(pod, container)
		switch {
		case pod.Status.Phase == corev1.PodFailed, s != nil && s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return poll.Fatal(errors.New(describe([]corev1.Pod{*pod})))
		case s == nil || s.State.Terminated == nil:
			return errors.New(describe([]corev1.Pod{*pod}))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	text, err := cluster.logs.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container}).DoRaw(ctx)
	return string(text), err
}

// created returns how many jobs were created.
func (j *jobs) created() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.made)
}

// more waits until some jobs have ended that were created after the call.
func (j *jobs) more(t *testing.T) {
	t.Helper()
	since := j.created()
	eventually(t, "more jobs have ended", func(context.Context) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		ended := 0
		for _, one := range j.made[since:] {
			if one.ended {
				ended++
			}
		}
		if j.failed == nil && ended < len(systems) {
			return fmt.Errorf("%d of %d have", ended, len(j.made)-since)
		}
		return poll.Fatal(j.failed)
	})
}

// stop creates no more jobs, waits for those under way, and requires that none has failed.
func (j *jobs) stop(t *testing.T) {
	t.Helper()
	j.cancel()
	j.workers.Wait()
	require.NoError(t, j.failed)
}

// given returns the engines that the jobs were given which were created after so many.
func (j *jobs) given(since int) []release {
	j.mu.Lock()
	defer j.mu.Unlock()
	var engines []release
	for _, one := range j.made[max(0, since):] {
		if !slices.Contains(engines, one.engine) {
			engines = append(engines, one.engine)
		}
	}
	return engines
}

// report says how many jobs were answered by the pod of each engine.
func (j *jobs) report(pods map[release]string) string {
	var lines []string
	for r, pod := range pods {
		n := 0
		for _, one := range j.made {
			if strings.HasPrefix(one.output, "engine="+pod+" ") {
				n++
			}
		}
		lines = append(lines, fmt.Sprintf("%d of %d jobs were answered by %s, by its pod %s", n, len(j.made), r.version, pod))
	}
	return strings.Join(lines, "\n")
}
