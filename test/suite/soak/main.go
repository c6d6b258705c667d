// Command soak creates pods at a steady rate, on both entries of the webhook, while its replicas are rolled, killed and
// frozen, its certificates renewed, its policy edited, its chart upgraded and rolled back, and the engine upgraded. It counts what was
// created, injected, refused and missed, and fails where the objectives are not met. It stops by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
)

// settings is how long and how hard the soak is.
type settings struct {
	// rate is how many pods are created a second, by so many clients.
	rate    float64
	clients int
	// rolling is how many pods each entry has to get while replicas are rolled.
	rolling int
	// calm is how long phases are in which nothing is waited for.
	calm time.Duration
	// rounds is how often a disturbance is repeated.
	rounds int
	// step is how many pods each entry has to get at each step of an engine's upgrade.
	step int
	// hostile is how long a hostile tenant does what it can.
	hostile time.Duration
	// only names the phases that are run, by a part of their names; empty for all.
	only string
	// limit ends the soak as a failure.
	limit time.Duration
}

var (
	full = settings{rate: 100, clients: 6, rolling: 10000, calm: 20 * time.Second, rounds: 3, step: 500, hostile: time.Minute,
		limit: 25 * time.Minute}
	quick = settings{rate: 50, clients: 4, rolling: 0, calm: 5 * time.Second, rounds: 1, step: 50, hostile: 20 * time.Second,
		limit: 8 * time.Minute}
)

func main() {
	log.SetLogger(logr.New(log.NullLogSink{}))
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), `Creates pods while the webhook is rolled, killed, frozen, renewed and upgraded, and its engine is upgraded, and counts
what is missed.
The exit code is 1 if an objective is not met.

Example:
  go run ./test/suite/soak -quick

Flags:
`)
		flags.PrintDefaults()
	}
	short := flags.Bool("quick", false, "one round of everything, in about three minutes")
	rate := flags.Float64("rate", 0, "pods created a second, on both entries together (default: 100, or 50 with -quick)")
	only := flags.String("phase", "", "run only phases with this in their name")
	// ExitOnError: an error does not come back.
	_ = flags.Parse(os.Args[1:])
	s := full
	if *short {
		s = quick
	}
	s.only = *only
	if *rate > 0 {
		s.rate = *rate
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	// The limit does not count what is built on first use.
	cluster, err := localcluster.Start(ctx, localcluster.Options{Output: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("the soak did not end within %s", s.limit))
	defer cancel()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
	}()
	soak, err := newSoak(ctx, cluster, s)
	if err != nil {
		return err
	}
	fmt.Printf("%g pods a second from %d clients, a third each: with the label, in a namespace with it, and with the label optional\n", s.rate,
		s.clients)
	soak.current.Store(newPhaseRun(phase{})) // what is created before the first phase is counted in none
	load := soak.startLoad(ctx)
	for _, p := range soak.phases() {
		if !strings.Contains(p.name, s.only) {
			continue
		}
		if err := soak.runPhase(ctx, p); err != nil {
			load.stop()
			soak.print(os.Stdout)
			return fmt.Errorf("phase %s: %w", p.name, errors.Join(err, soak.describe(ctx)))
		}
	}
	load.stop()
	soak.print(os.Stdout)
	return soak.verdict()
}

// chartDir returns the folder of the chart.
func chartDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "charts", "dagger-inject")
}
