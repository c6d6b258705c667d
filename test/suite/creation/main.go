// Command creation measures what the creation of a pod takes on a real API server without a webhook, with one that does nothing, with
// ours, with a MutatingAdmissionPolicy that makes the same change, and with a typed defaulter that does: dry-run creations of four
// runner pods, in one run and in turns, so that what else the machine does hits all alike.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// The variants. Each has a namespace of its own.
const (
	variantNone    = figures.CreationNone
	variantNothing = "nothing"
	variantOurs    = figures.CreationOurs
	variantPolicy  = figures.CreationPolicy
	variantTyped   = "typed"
)

var variants = []string{variantNone, variantNothing, variantOurs, variantPolicy, variantTyped}

var titles = map[string]string{
	variantNone: "without a webhook", variantNothing: "webhook that does nothing", variantOurs: "ours",
	variantPolicy: "MutatingAdmissionPolicy", variantTyped: "typed defaulter",
}

// variantLabel is the label of a variant's namespace.
const variantLabel = "creation.test/variant"

func namespaceOf(variant string) string { return "creation-" + variant }

type options struct {
	rounds, creations int
	output            string
	check, quick      bool
	profile           string
}

func main() {
	log.SetLogger(logr.New(log.NullLogSink{}))
	flags := flag.NewFlagSet("creation", flag.ExitOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), `Measures what the creation of a pod takes on a real API server, with and without our webhook, and with what else could inject.

Example:
  go run ./test/suite/creation
  go run ./test/suite/creation -rounds 5 -o json
  go run ./test/suite/creation -check               # exit 1 where ours is dearer than a MutatingAdmissionPolicy

Flags:
`)
		flags.PrintDefaults()
	}
	var o options
	flags.IntVar(&o.rounds, "rounds", 15, "rounds, in which every variant has its turn")
	flags.IntVar(&o.creations, "creations", 80, "pods created in each turn, with each number of clients")
	flags.BoolVar(&o.quick, "quick", false, "measure less, and so less exactly: 2 rounds of 16 pods")
	flags.StringVar(&o.output, "o", figures.OutputText, "text or json")
	flags.BoolVar(&o.check, "check", false, "exit 1 where ours is dearer than the policy")
	flags.StringVar(&o.profile, "profile", "", "only write a CPU profile of the API server, while it calls ours, into this `file`")
	// ExitOnError: an error does not come back.
	_ = flags.Parse(os.Args[1:])
	if o.quick {
		o.rounds, o.creations = 2, 16
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "creation:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	if err := figures.CheckOutput(o.output); err != nil {
		return err
	}
	if o.rounds < 1 || o.creations < 1 {
		return fmt.Errorf("-rounds %d and -creations %d: want 1 or more", o.rounds, o.creations)
	}
	machine, err := figures.ThisMachine()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "creation-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cp, err := controlplane.Start(ctx, controlplane.Options{Output: progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	pods, err := readPods(ctx)
	if err != nil {
		return err
	}
	c, err := newCreator(cp, pods)
	if err != nil {
		return err
	}
	for _, variant := range variants {
		if err := cp.CreateNamespace(ctx, namespaceOf(variant), map[string]string{variantLabel: variant}, nil); err != nil {
			return err
		}
	}
	stop, err := startServers(ctx, cp, dir)
	defer stop()
	if err != nil {
		return err
	}
	err = registerPolicy(ctx, cp, func(ctx context.Context) error {
		text, err := c.create(ctx, variantPolicy, 0)
		if err != nil {
			return err
		}
		pod := &corev1.Pod{}
		if err := json.Unmarshal(text, pod); err != nil {
			return err
		}
		if names := initNames(pod); !slices.Contains(names, "dagger-wait") {
			return fmt.Errorf("the pod has the init containers %v", names)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.verify(ctx); err != nil {
		return err
	}
	if o.profile != "" {
		return c.profile(ctx, o.profile)
	}
	rows, err := c.measure(ctx, o, progress)
	if err != nil {
		return err
	}
	rep := &figures.Creation{Run: figures.Run{Machine: machine, Quick: o.quick}, Rounds: o.rounds, Rows: rows}
	judge(rep)
	return (&figures.Report{Creation: rep}).Emit(out, o.output, o.check)
}

// clients are how many create pods at one time.
var clients = []int{1, 8}

// measure lets the variants take turns. What the first round takes is not counted.
func (c *creator) measure(ctx context.Context, o options, progress io.Writer) ([]figures.CreationRow, error) {
	bursts := map[string][]burst{}
	key := func(variant string, clients int) string { return fmt.Sprintf("%s %d", variant, clients) }
	for round := range o.rounds + 1 {
		for _, n := range clients {
			for _, variant := range variants {
				b, err := c.burst(ctx, variant, n, o.creations)
				if err != nil {
					return nil, err
				}
				if round > 0 {
					bursts[key(variant, n)] = append(bursts[key(variant, n)], b)
				}
			}
		}
		_, _ = fmt.Fprintf(progress, "creation: round %d of %d\n", round, o.rounds)
	}
	var rows []figures.CreationRow
	for _, n := range clients {
		for _, variant := range variants {
			rows = append(rows, rowOf(variant, n, bursts[key(variant, n)]))
		}
	}
	return rows, nil
}
