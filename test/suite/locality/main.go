// Command locality measures how many jobs land where their cache is, and what that is worth: a real kube-scheduler places pods to
// which the real webhook, with the chart's policy, adds what scheduling.cacheAffinity says.
//
//	go run ./test/suite/locality                                     # tables and the goals; below five minutes on two processors
//	go run ./test/suite/locality -nodes 100 -utilisation 0.6 -requests 1 -policies blind,16:100:10,8:100:30,oracle
//	go run ./test/suite/locality -simulate -nodes 300,5000           # no cluster at all
//	go run ./test/suite/locality -policies blind,3:100:50,16:100:10,16:100:55,oracle -o json > test/suite/locality/measured.json
//	go run ./test/suite/locality -from test/suite/locality/measured.json -o svg > docs/images/locality.svg
//
// Nodes, engines and jobs are objects alone. How long a job runs, what a node's cache holds and which nodes come and go is replayed on
// a clock that jumps from one event to the next: package fleet has the rules. Nobody waits for a job, but everybody for the scheduler.
//
// The simulation of package sim fills the caches first, and hands over the jobs that run at that time. It also places the same jobs as
// the scheduler for comparison, and those of fleets that are too large to be made of objects. The oracle needs no scheduler.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/report"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// limit ends a run that hangs. It does not count what is built on first use.
const limit = 30 * time.Minute

var errMissed = errors.New("a goal is missed")

func main() {
	ctrllog.SetLogger(logr.New(ctrllog.NullLogSink{}))
	// The control plane's processes inherit it. Their heaps are small and their work is short-lived, so that they would spend a third of
	// their time on collections.
	if os.Getenv("GOGC") == "" {
		_ = os.Setenv("GOGC", "400")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "locality:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	nodes, large, utilisations, requests, policies string
	seeds, jobs, lanes                             int
	simulate, check                                bool
	output, from                                   string
}

const usage = `Measures how many jobs land where their cache is, with a real kube-scheduler, the webhook and the chart's policy.

Examples:
  go run ./test/suite/locality
  go run ./test/suite/locality -nodes 100 -utilisation 0.6 -requests 1 -policies blind,8:100:30,oracle -jobs 3000
  go run ./test/suite/locality -simulate -nodes 100 -large 5000
  go run ./test/suite/locality -from test/suite/locality/measured.json -o svg > docs/images/locality.svg

Flags:
`

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("locality", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.nodes, "nodes", "20,100", "sizes of fleets that the real scheduler places jobs of")
	flags.StringVar(&o.large, "large", "300,5000",
		"sizes of fleets that are only simulated, with true requests and, above 1,000 nodes, on one trace; empty for none")
	flags.StringVar(&o.utilisations, "utilisation", "0.6,0.85", "shares of the slots that are busy if half of the jobs hit")
	flags.StringVar(&o.requests, "requests", "1,0.25", "what jobs request, as shares of what they use")
	flags.StringVar(&o.policies, "policies", "blind,3:100:50,"+report.Default()+",oracle",
		"blind, oracle, or ladders as NODES:WEIGHT:LASTWEIGHT")
	flags.IntVar(&o.seeds, "seeds", 3, "traces a fleet and policy")
	flags.IntVar(&o.jobs, "jobs", 0, "jobs measured a trace; 0 for three a node, and 200 at least")
	flags.IntVar(&o.lanes, "lanes", 2, "control planes at a time")
	flags.BoolVar(&o.simulate, "simulate", false, "start no cluster: the simulation alone")
	flags.BoolVar(&o.check, "check", false, "exit 1 where the default ladder misses a goal")
	flags.StringVar(&o.output, "o", "text", "text, json or svg")
	flags.StringVar(&o.from, "from", "", "measure nothing, and show the report in this JSON file")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag; see -help", flags.Arg(0))
	}
	if o.output != "text" && o.output != "json" && o.output != "svg" {
		return nil, fmt.Errorf("-o %q: want text, json or svg", o.output)
	}
	if o.seeds < 1 || o.lanes < 1 || o.jobs < 0 {
		return nil, errors.New("-seeds and -lanes must be 1 at least, and -jobs not negative")
	}
	return o, nil
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := o.find(ctx, stderr)
	if err != nil {
		return err
	}
	show := map[string]func(io.Writer) error{"text": r.Text, "json": r.JSON, "svg": r.SVG}[o.output]
	if err := show(stdout); err != nil {
		return err
	}
	for _, v := range r.Verdicts(report.Default()) {
		if o.check && !v.OK {
			return errMissed
		}
	}
	return nil
}

// find returns the report of a file, or of what is measured now.
func (o *options) find(ctx context.Context, progress io.Writer) (_ *report.Report, err error) {
	if o.from != "" {
		file, err := os.Open(o.from)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		return report.Read(file)
	}
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	start := func(context.Context) (*cluster, error) { return nil, errors.New("nothing is to be measured") }
	if len(p.cells) > 0 {
		dir, err := os.MkdirTemp("", "locality-")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		binary, err := program.Build(ctx, dir)
		if err != nil {
			return nil, err
		}
		chart, err := newChart(ctx, progress)
		if err != nil {
			return nil, err
		}
		start = func(ctx context.Context) (*cluster, error) { return startCluster(ctx, chart, binary, progress) }
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not end within %s", limit))
	defer cancel()
	return p.run(ctx, start, progress)
}

// plan returns what the flags ask for.
func (o *options) plan() (*plan, error) {
	p := &plan{seeds: o.seeds, jobs: o.jobs, lanes: o.lanes}
	var err error
	if p.policies, err = sim.ParsePolicies(o.policies); err != nil {
		return nil, fmt.Errorf("-policies: %w", err)
	}
	utilisations, err := numbers("-utilisation", o.utilisations, 0.05, 1)
	if err != nil {
		return nil, err
	}
	requests, err := numbers("-requests", o.requests, 0.1, 1)
	if err != nil {
		return nil, err
	}
	if p.cells, err = cells("-nodes", o.nodes, 500, utilisations, requests); err != nil {
		return nil, err
	}
	if p.simulated, err = cells("-large", o.large, 5000, utilisations, []float64{1}); err != nil {
		return nil, err
	}
	if o.simulate {
		p.cells, p.simulated = nil, append(p.cells, p.simulated...)
	}
	return p, nil
}

// cells are all fleets of the sizes.
func cells(name, sizes string, most float64, utilisations, requests []float64) ([]report.Cell, error) {
	if sizes == "" {
		return nil, nil
	}
	nodes, err := numbers(name, sizes, 2, most)
	if err != nil {
		return nil, err
	}
	var cells []report.Cell
	for _, share := range requests {
		for _, n := range nodes {
			for _, u := range utilisations {
				cells = append(cells, report.Cell{Nodes: int(n), Utilisation: u, Requests: share})
			}
		}
	}
	return cells, nil
}

// numbers reads numbers separated by commas.
func numbers(name, text string, least, most float64) ([]float64, error) {
	var found []float64
	for _, field := range strings.Split(text, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("%s: %q is no number from %g to %g", name, field, least, most)
		}
		found = append(found, n)
	}
	return found, nil
}
