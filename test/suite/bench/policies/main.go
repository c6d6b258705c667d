// Command policies measures what policies of many namespaces cost the webhook: memory, the time until it is ready and until a
// change holds, and a lookup. The webhook is the real program, and its policies are ConfigMaps of a real API server.
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
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

const (
	// limit ends a run that hangs. It includes compiling the program, where that is not cached.
	limit = 30 * time.Minute
	// idle is how long the webhook is left alone.
	idle = 10 * time.Second
)

const help = `Measures what policies of many namespaces cost the webhook: memory, the time until it is ready and until a change holds, and a lookup.

Example:
  go run ./test/suite/bench/policies                     # tables, and the limits; two to four minutes
  go run ./test/suite/bench/policies -o json             # the same for programs
  go run ./test/suite/bench/policies -check              # exit 1 where a limit is missed
  go run ./test/suite/bench/policies -namespaces 1000    # fewer, and with the limits of a small cluster; a minute
  go run ./test/suite/bench/policies -engines 5000       # the same with so many engines, among which jobs are placed by cache
  go run ./test/suite/bench/policies -heap heap.prof     # only a profile of what the webhook keeps in memory

Flags:
`

type options struct {
	size
	output       string
	check, quick bool
	heap         string
}

// size is how large the cluster is.
type size struct{ namespaces, engines int }

// amount is how much is measured.
type amount struct{ requests, changes, clusterChanges int }

func (o *options) amount() amount {
	if o.quick {
		return amount{200, 5, 2}
	}
	return amount{2000, 50, 5}
}

func main() {
	log.SetLogger(logr.New(log.NullLogSink{}))
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2:]))
	}
	flags := flag.NewFlagSet("policies", flag.ExitOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), help)
		flags.PrintDefaults()
	}
	var o options
	flags.IntVar(&o.namespaces, "namespaces", 10_000, "`number` of namespaces with a policy; there are limits for 10,000 and, stricter, for 1,000")
	flags.IntVar(&o.engines, "engines", 0, "`number` of nodes with an engine, among which scheduling.cacheAffinity places jobs")
	flags.StringVar(&o.output, "o", figures.OutputText, "text or json")
	flags.BoolVar(&o.check, "check", false, "exit 1 where a limit is missed")
	flags.BoolVar(&o.quick, "quick", false, "send fewer requests and make fewer changes")
	flags.StringVar(&o.heap, "heap", "", "only write a heap profile of the webhook into this `file`, once it is ready")
	// ExitOnError: an error does not come back.
	_ = flags.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	exit(run(ctx, o, os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "policies:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	if err := figures.CheckOutput(o.output); err != nil {
		return err
	}
	if o.namespaces < 1 || o.engines < 0 {
		return fmt.Errorf("-namespaces %d and -engines %d: want 1 or more, and 0 or more", o.namespaces, o.engines)
	}
	machine, err := figures.ThisMachine()
	if err != nil {
		return err
	}
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
	placesByCache = o.engines > 0
	if err := runEngines(ctx, cp, o.engines, progress); err != nil {
		return err
	}
	names := namespaceNames(o.namespaces)
	if err := populate(ctx, cp, names, progress); err != nil {
		return err
	}
	s, ready, err := start(ctx, cp, dir, o.heap != "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.process.Stop()) }()
	if o.heap != "" {
		return errors.Join(s.settle(ctx), s.heapProfile(ctx, o.heap))
	}
	rep := &figures.Policies{
		Run: figures.Run{Machine: machine, Quick: o.quick}, Namespaces: o.namespaces, Engines: o.engines, Ready: ready,
	}
	if o.engines > 0 {
		if rep.EnginesKnown, err = s.awaitEngines(ctx, o.engines); err != nil {
			return err
		}
	}
	if err := measure(ctx, rep, o.amount(), s, cp, names, progress); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(progress, "policies: measuring lookups")
	if rep.LookupNanos, rep.LookupAllocations, err = lookupCost(o.namespaces); err != nil {
		return err
	}
	return reportOf(o.size, rep).Emit(out, o.output, o.check)
}

// measure reads the webhook's memory as its life goes on, and times changes of policies.
func measure(
	ctx context.Context, rep *figures.Policies, n amount, s *server, cp *controlplane.ControlPlane, names []string, progress io.Writer,
) error {
	var own, cluster, clusterAlone []time.Duration
	steps := []struct {
		when string
		do   func() error
	}{
		{"once ready", func() error { return nil }},
		{fmt.Sprintf("after %s without a request", idle), func() error { return pause(ctx, idle) }},
		{fmt.Sprintf("after %d requests", n.requests), func() error { return s.injectAll(ctx, names, n.requests) }},
		{fmt.Sprintf("after %d changes of policies", n.changes), func() error {
			for i := range n.changes {
				took, err := effect(ctx, s, cp, names[i*len(names)/n.changes], i+1)
				if err != nil {
					return err
				}
				own = append(own, took)
			}
			return nil
		}},
		{fmt.Sprintf("after %d changes of the cluster's", n.clusterChanges), func() error {
			for i := range n.clusterChanges {
				with, alone, err := clusterEffect(ctx, s, cp, names[i*len(names)/n.clusterChanges], i+1)
				if err != nil {
					return err
				}
				cluster, clusterAlone = append(cluster, with), append(clusterAlone, alone)
				if err := s.settle(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	for _, step := range steps {
		_, _ = fmt.Fprintln(progress, "policies: memory", step.when)
		if err := errors.Join(step.do(), s.settle(ctx)); err != nil {
			return err
		}
		used, err := readUsage(s.pid)
		if err != nil {
			return err
		}
		rep.Memory = append(rep.Memory, figures.Reading{
			When: step.when, RSS: used.RSS, Anonymous: used.Anonymous, File: used.File, Peak: used.Peak,
		})
	}
	rep.Effects = []figures.Effect{
		effectOf("a namespace's policy", own),
		effectOf("the cluster's, where the namespace has one too", cluster),
		effectOf("the cluster's, where it has none", clusterAlone),
	}
	return nil
}
