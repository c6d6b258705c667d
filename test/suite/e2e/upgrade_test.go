package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// release is a release of the official chart, one a version, as docs/upgrading.md has operators install them.
type release struct{ name, version string }

var (
	oldRelease = release{"dagger-v0-20-8", "v0.20.8"}
	newRelease = release{"dagger-v0-21-8", "v0.21.8"}
)

func (r release) workload() string {
	return fmt.Sprintf("DaemonSet %s/%s", engineNamespace, enginechart.Workload(r.name))
}

// deploy installs the release, with a readiness probe that soon notices: the chart's own looks every 15 seconds.
func (r release) deploy(t *testing.T, change func(*appsv1.DaemonSet)) {
	t.Helper()
	deployRelease(t, r.version+"-default", r.name, func(set *appsv1.DaemonSet) {
		probe := set.Spec.Template.Spec.Containers[0].ReadinessProbe
		probe.InitialDelaySeconds, probe.PeriodSeconds = 0, 1
		if change != nil {
			change(set)
		}
	})
}

// TestJobsDoNotNoticeAnUpgradeOfTheEngine installs a new engine beside the old one and removes the old one when "dagger-inject engine"
// says that it can go, while jobs are created that connect to the engine that they are given.
func TestJobsDoNotNoticeAnUpgradeOfTheEngine(t *testing.T) {
	needsOurNode(t, "it needs two engines of its own")
	oldRelease.deploy(t, nil)
	oldPod := readyEngine(t, oldRelease.name)
	namespace := newNamespace(t, nil, "")
	long := jobPod(t, "ARC", namespace, askEngine+"; until [ -e /tmp/go ]; do sleep 0.1; done; "+askEngine)
	createPod(t, long)
	eventually(t, "a job runs for long", func(ctx context.Context) error {
		if s := statusOf(get(t, long), "runner"); s == nil || s.State.Running == nil {
			return errors.New(describe([]corev1.Pod{*long}))
		}
		return nil
	})
	jobs := startJobs(t, namespace)
	jobs.more(t)

	newRelease.deploy(t, gated)
	runningEngine(t, newRelease.name)
	jobs.more(t)
	require.Equal(t, []release{oldRelease}, jobs.given(0), "the new engine runs and does not listen")

	openGate(t, newRelease.name)
	newPod := readyEngine(t, newRelease.name)
	var switched int
	eventually(t, "jobs are given the new engine", func(context.Context) error {
		switched = jobs.created()
		if given := jobs.given(switched - len(systems)); !slices.Equal(given, []release{newRelease}) {
			return fmt.Errorf("the last were given %v", given)
		}
		return nil
	})
	jobs.more(t)
	awaitConclusion(t, oldRelease, "is still used by 1 pod.")
	kubectl(t, "exec", "-n", namespace, long.Name, "-c", "runner", "--", "touch", "/tmp/go")
	ended, output := awaitJob(t, long, "ARC")
	require.Zero(t, ended.ExitCode, output)
	require.Equal(t, 2, strings.Count(output, "engine="+oldPod+" version=v0.20.8+"), "the job that ran kept its engine: %s", output)
	require.NoError(t, cluster.Delete(t.Context(), long))
	awaitConclusion(t, oldRelease, "is used by no pod: it can go.")

	require.NoError(t, cluster.Delete(t.Context(), &appsv1.DaemonSet{ObjectMeta: objectMeta(engineNamespace,
		enginechart.Workload(oldRelease.name))}))
	goneEngine(t, oldRelease.name)
	jobs.more(t)
	jobs.stop(t)
	require.Equal(t, []release{newRelease}, jobs.given(switched))
	t.Log(jobs.report(map[release]string{oldRelease: oldPod, newRelease: newPod}))
}

// TestJobsKeepTheOldEngineWhereTheNewOneNeverStarts gives up an upgrade.
func TestJobsKeepTheOldEngineWhereTheNewOneNeverStarts(t *testing.T) {
	needsOurNode(t, "it needs two engines of its own")
	oldRelease.deploy(t, nil)
	oldPod := readyEngine(t, oldRelease.name)
	jobs := startJobs(t, newNamespace(t, nil, ""))
	newRelease.deploy(t, gated)
	runningEngine(t, newRelease.name)
	jobs.more(t)
	require.NoError(t, cluster.Delete(t.Context(), &appsv1.DaemonSet{ObjectMeta: objectMeta(engineNamespace,
		enginechart.Workload(newRelease.name))}))
	goneEngine(t, newRelease.name)
	jobs.more(t)
	jobs.stop(t)
	require.Equal(t, []release{oldRelease}, jobs.given(0))
	t.Log(jobs.report(map[release]string{oldRelease: oldPod}))
}

// awaitConclusion waits until "dagger-inject engine" says this of a release, and nothing of others.
func awaitConclusion(t *testing.T, r release, what string) {
	t.Helper()
	path, err := program.Build(t.Context(), t.TempDir())
	require.NoError(t, err)
	eventually(t, "the command engine says that "+r.version+" "+what, func(ctx context.Context) error {
		table, err := tools.Run(ctx, nil, ".", path, "engine", "-n", engineNamespace)
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("\n%s (%s) %s", r.version, r.workload(), what); !strings.HasSuffix(table, want) {
			return errors.New(table)
		}
		t.Log("\n" + table)
		return nil
	})
}
