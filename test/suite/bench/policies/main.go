// Command policies measures what policies of many namespaces cost the webhook: memory, the time until it is ready and until a
// change holds, and a lookup. The webhook is the real program, and its policies are ConfigMaps of a real API server.
//
//	go run ./test/suite/bench/policies                     # tables and the targets; two to four minutes
//	go run ./test/suite/bench/policies -check              # exit 1 where a target is missed
//	go run ./test/suite/bench/policies -namespaces 1000    # fewer, and with the targets of a small cluster; a minute
//	go run ./test/suite/bench/policies -engines 5000       # the same with so many engines, among which jobs are placed by cache
//	go run ./test/suite/bench/policies -heap heap.prof     # only a profile of what the webhook keeps in memory
//
// Linux only: it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
)

const (
	// limit ends a run that hangs.
	limit = 15 * time.Minute
	// idle is how long the webhook is left alone.
	idle = 10 * time.Second

	requests       = 2000
	changes        = 50
	clusterChanges = 5
)

var errMissed = errors.New("a target is missed")

func main() {
	log.SetLogger(logr.New(log.NullLogSink{}))
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2:]))
	}
	namespaces := flag.Int("namespaces", 10_000, "how many namespaces have a policy; there are targets for 10,000 and, stricter, for 1,000")
	engines := flag.Int("engines", 0, "on how many nodes engines run, among which scheduling.cacheAffinity places jobs; 0 leaves that out")
	check := flag.Bool("check", false, "exit 1 where a target is missed")
	heap := flag.String("heap", "", "only write a heap profile of the webhook into this file, once it is ready")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	exit(run(ctx, size{max(1, *namespaces), max(0, *engines)}, *check, *heap, os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "policies:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// size is how large the cluster is.
type size struct{ namespaces, engines int }

func run(ctx context.Context, of size, check bool, heap string, out, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bench-policies-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cp, err := controlplane.Start(ctx, controlplane.Options{Output: progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	placesByCache = of.engines > 0
	if err := runEngines(ctx, cp, of.engines, progress); err != nil {
		return err
	}
	names := namespaceNames(of.namespaces)
	if err := populate(ctx, cp, names, progress); err != nil {
		return err
	}
	s, ready, err := start(ctx, cp, dir, heap != "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.process.Stop()) }()
	if heap != "" {
		return errors.Join(s.settle(ctx), s.heapProfile(ctx, heap))
	}
	rep := &report{size: of, ready: ready}
	if of.engines > 0 {
		if rep.enginesKnown, err = s.awaitEngines(ctx, of.engines); err != nil {
			return err
		}
	}
	if err := rep.measure(ctx, s, cp, names, progress); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(progress, "measuring lookups")
	if rep.nanos, rep.allocs, err = lookupCost(of.namespaces); err != nil {
		return err
	}
	rep.judge()
	if err := rep.print(out); err != nil {
		return err
	}
	if check && rep.missed() {
		return errMissed
	}
	return nil
}

// measure reads the webhook's memory as its life goes on, and times changes of policies.
func (rep *report) measure(ctx context.Context, s *server, cp *controlplane.ControlPlane, names []string, progress io.Writer) error {
	own, cluster := effects{of: "a namespace's policy"}, effects{of: "the cluster's, where the namespace has one too"}
	clusterAlone := effects{of: "the cluster's, where it has none"}
	steps := []struct {
		when string
		do   func() error
	}{
		{"once ready", func() error { return nil }},
		{fmt.Sprintf("after %s without a request", idle), func() error { return pause(ctx, idle) }},
		{fmt.Sprintf("after %d requests", requests), func() error { return s.injectAll(ctx, names, requests) }},
		{fmt.Sprintf("after %d changes of policies", changes), func() error {
			for i := range changes {
				took, err := effect(ctx, s, cp, names[i*len(names)/changes], i+1)
				if err != nil {
					return err
				}
				own.times = append(own.times, took)
			}
			return nil
		}},
		{fmt.Sprintf("after %d changes of the cluster's", clusterChanges), func() error {
			for i := range clusterChanges {
				with, alone, err := clusterEffect(ctx, s, cp, names[i*len(names)/clusterChanges], i+1)
				if err != nil {
					return err
				}
				cluster.times, clusterAlone.times = append(cluster.times, with), append(clusterAlone.times, alone)
				if err := s.settle(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	for _, step := range steps {
		_, _ = fmt.Fprintln(progress, "memory", step.when)
		if err := errors.Join(step.do(), s.settle(ctx)); err != nil {
			return err
		}
		used, err := readUsage(s.pid)
		if err != nil {
			return err
		}
		rep.memory = append(rep.memory, reading{step.when, used})
	}
	rep.effects = []effects{own, cluster, clusterAlone}
	return nil
}
