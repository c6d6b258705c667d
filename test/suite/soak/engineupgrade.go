package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/internal/engines"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// engineNeverReady installs a new engine beside the old one, of which one replica comes up for a while and no more do, and gives up.
// All jobs have the old one.
func (s *soak) engineNeverReady(ctx context.Context, run *phaseRun) error {
	return s.withMoreNodes(ctx, func(ctx context.Context) error {
		if err := s.setReady(ctx, oldEngine, len(s.nodes)); err != nil {
			return err
		}
		if err := s.installEngine(ctx, newEngine); err != nil {
			return err
		}
		for _, ready := range []int{0, 1, 0} {
			if err := s.createWith(ctx, run, newEngine, ready); err != nil {
				return err
			}
		}
		if err := s.uninstallEngine(ctx, newEngine); err != nil {
			return err
		}
		if err := s.more(ctx, run); err != nil {
			return err
		}
		run.notes = append(run.notes, run.allGiven())
		return run.givenOnly(0, oldEngine)
	})
}

// upgradeEngine is the upgrade that docs/upgrading.md describes: the new engine stands beside the old one, new jobs go to it once
// half of its replicas are ready, those that run keep theirs, and the old one is removed when "dagger-inject engine" says that it can
// go.
func (s *soak) upgradeEngine(ctx context.Context, run *phaseRun) error {
	return s.withMoreNodes(ctx, func(ctx context.Context) error {
		if err := s.setReady(ctx, oldEngine, len(s.nodes)); err != nil {
			return err
		}
		running, err := s.startJobs(ctx)
		if err != nil {
			return err
		}
		if err := s.installEngine(ctx, newEngine); err != nil {
			return err
		}
		for _, ready := range []int{0, len(s.nodes)/2 - 1} {
			if err := s.createWith(ctx, run, newEngine, ready); err != nil {
				return err
			}
		}
		if err := run.givenOnly(0, oldEngine); err != nil {
			return err
		}
		since, err := s.switchEngine(ctx, run)
		if err != nil {
			return err
		}
		if err := s.finishJobs(ctx, run, running); err != nil {
			return err
		}
		if err := s.uninstallEngine(ctx, oldEngine); err != nil {
			return err
		}
		if err := s.more(ctx, run); err != nil {
			return err
		}
		run.notes = append(run.notes, run.allGiven())
		return run.givenOnly(since, newEngine)
	})
}

// switchEngine has half of the new engine's replicas be ready, and then all of them. It returns how many jobs were created when all
// of them were given the new one.
func (s *soak) switchEngine(ctx context.Context, run *phaseRun) (since int, err error) {
	began := time.Now()
	if err := s.setReady(ctx, newEngine, len(s.nodes)/2); err != nil {
		return 0, err
	}
	// So many in a row that every client and every replica had its share.
	const enough = 50
	err = poll.Until(ctx, "all jobs are given the new engine", 20*time.Millisecond, time.Minute, func(context.Context) error {
		since = run.injected()
		if since < enough {
			return errors.New("too few were created")
		}
		return run.givenOnly(since-enough, newEngine)
	})
	if err != nil {
		return 0, err
	}
	run.normal = append(run.normal, run.lastGiven(oldEngine).Sub(began))
	return since, s.createWith(ctx, run, newEngine, len(s.nodes))
}

// runningJobs is how many jobs run from before an engine's upgrade until the old engine may go.
const runningJobs = 6

// startJobs creates jobs that go on running.
func (s *soak) startJobs(ctx context.Context) ([]*corev1.Pod, error) {
	var jobs []*corev1.Pod
	for i := range runningJobs {
		e := entries[i%len(entries)]
		job, err := s.clients[0].CoreV1().Pods(e.namespace()).Create(ctx, e.pod(), metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		if given, err := engineOf(job); err != nil || given != oldEngine {
			return nil, errors.Join(err, fmt.Errorf("a job of the entry %s was given the engine %q before there was a new one", e, given.version))
		}
		if err := s.patchStatus(ctx, job, corev1.PodStatus{Phase: corev1.PodRunning}); err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// finishJobs ends the jobs, half of them first, and holds what "dagger-inject engine" says of the old engine to it.
func (s *soak) finishJobs(ctx context.Context, run *phaseRun, jobs []*corev1.Pod) error {
	for len(jobs) > 0 {
		// Those that are pending are created and deleted all the while, of the new engine.
		if err := s.awaitUse(ctx, run, len(jobs)); err != nil {
			return err
		}
		n := (len(jobs) + 1) / 2
		for _, job := range jobs[:n] {
			now := &corev1.Pod{}
			if err := s.cluster.Client().Get(ctx, client.ObjectKeyFromObject(job), now); err != nil {
				return err
			}
			if !reflect.DeepEqual(now.Annotations, job.Annotations) || !reflect.DeepEqual(now.Spec, job.Spec) {
				return fmt.Errorf("the job %s was changed while it ran", job.Name)
			}
			if err := s.patchStatus(ctx, now, corev1.PodStatus{Phase: corev1.PodSucceeded}); err != nil {
				return err
			}
		}
		jobs = jobs[n:]
	}
	return s.awaitUse(ctx, run, 0)
}

// awaitUse waits until "dagger-inject engine" counts so many jobs of the old engine, and none that is pending, and says what that
// means for it.
func (s *soak) awaitUse(ctx context.Context, run *phaseRun, running int) error {
	name := fmt.Sprintf("%s (%s)", oldEngine.version, oldEngine.workload())
	want := fmt.Sprintf("%s is still used by %d pods.", name, running)
	if running == 1 {
		want = name + " is still used by 1 pod."
	}
	if running == 0 {
		want = name + " is used by no pod: it can go."
	}
	err := poll.Until(ctx, "the command engine says: "+want, 200*time.Millisecond, time.Minute, func(ctx context.Context) error {
		report, err := s.engineReport(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(report.Engines, func(e engines.Engine) bool { return e.Workload.String() == oldEngine.workload() })
		if i < 0 || report.Engines[i].Pods == nil || *report.Engines[i].Pods != (engines.Pods{Running: running}) ||
			!slices.Equal(report.Conclusions, []string{want}) {
			return fmt.Errorf("it says: %+v", report.Conclusions)
		}
		return nil
	})
	run.notes = append(run.notes, want)
	return err
}

func (s *soak) engineReport(ctx context.Context) (*engines.Report, error) {
	text, err := tools.Run(ctx, nil, s.folder, s.program, "engine", "--kubeconfig", s.cluster.Kubeconfig, "-o", "json")
	if err != nil {
		return nil, err
	}
	report := &engines.Report{}
	return report, json.NewDecoder(strings.NewReader(text)).Decode(report)
}

// withMoreNodes does something while there are four nodes, so that half of an engine's replicas are more than one.
func (s *soak) withMoreNodes(ctx context.Context, act func(context.Context) error) error {
	var added []string
	for i := range 2 {
		added = append(added, fmt.Sprintf("engine-node-%d-%d", len(s.runs), i+1)) // a name has one lease
	}
	nodes, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.cluster.AddNodes(nodes, added...); err != nil {
		return err
	}
	before := s.nodes
	s.nodes = slices.Concat(before, added)
	defer func() { s.nodes = before }()
	if err := act(ctx); err != nil {
		return err
	}
	for _, name := range added {
		if err := s.cluster.RemoveNode(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// createWith has so many of an engine's pods be ready, and waits until more jobs were created.
func (s *soak) createWith(ctx context.Context, run *phaseRun, e engineRelease, ready int) error {
	if err := s.setReady(ctx, e, ready); err != nil {
		return err
	}
	return s.more(ctx, run)
}

// more waits until each entry has got more jobs than there are now.
func (s *soak) more(ctx context.Context, run *phaseRun) error {
	before := run.created()
	return poll.Until(ctx, "more jobs are created", 20*time.Millisecond, time.Minute, func(context.Context) error {
		if n := run.created() - before; n < s.settings.step {
			return fmt.Errorf("there are %d more", n)
		}
		return nil
	})
}
