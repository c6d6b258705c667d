// Command startup measures how long a pod takes from its creation until its job container runs, not injected and injected in several
// ways, on a real node of its own, with the times of every init container.
//
// The times are containerd's, which has nanoseconds where a pod's status has seconds. Node and program share the machine's clock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/test/rig/onnode"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

type options struct {
	rounds int
	only   string
	output string
	node   string
	check  bool
	quick  bool
}

func main() {
	log.SetLogger(logr.New(log.NullLogSink{}))
	flags := flag.NewFlagSet("startup", flag.ExitOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), `Measures how long a pod takes from its creation until its job container runs, not injected and injected in several ways, with the
times of each init container. It takes root, for a node of its own.

Example:
  go run ./test/suite/startup -n 20
  go run ./test/suite/startup -n 5 -variants 'not injected|injected' -o json
  go run ./test/rig/node up && go run ./test/suite/startup -node ~/.cache/dagger-inject/node

Flags:
`)
		flags.PrintDefaults()
	}
	var o options
	flags.IntVar(&o.rounds, "n", 20, "pods of each variant")
	flags.StringVar(&o.only, "variants", "", "measure only variants whose whole name this `expression` matches")
	flags.BoolVar(&o.quick, "quick", false, "measure less, and so less exactly: 2 pods of each variant")
	flags.BoolVar(&o.check, "check", false, "exit 1 where a limit is missed")
	flags.StringVar(&o.output, "o", figures.OutputText, "text or json")
	flags.StringVar(&o.node, "node", "", "state `folder` of a node that is up and has no engine (default: one of its own, which is removed)")
	// ExitOnError: an error does not come back.
	_ = flags.Parse(os.Args[1:])
	if o.quick {
		o.rounds = 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "startup:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	chosen, err := o.variants()
	if err != nil {
		return err
	}
	machine, err := figures.ThisMachine()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "startup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	node, err := findNode(ctx, o.node, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.down(context.WithoutCancel(ctx))) }()
	kube, err := connect(node.state)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stderr, "startup: installing the webhook and an engine")
	uninstall, err := onnode.Install(ctx, onnode.Options{State: node.state, Client: kube})
	defer uninstall()
	if err != nil {
		return err
	}
	if err := installEngine(ctx, kube, node.state, dir); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	b := &bench{Client: kube, variants: chosen}
	if b.events, err = watchEvents(watching, node.program, node.state); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	samples, err := b.measure(ctx, o.rounds, os.Stderr)
	if err != nil {
		return err
	}
	rep := &figures.Startup{Run: figures.Run{Machine: machine, Quick: o.quick}, Variants: resultsOf(chosen, samples)}
	rep.Compare()
	judge(rep)
	return (&figures.Report{Startup: rep}).Emit(os.Stdout, o.output, o.check)
}

// variants checks the options, and returns the variants to measure.
func (o *options) variants() ([]variant, error) {
	if err := figures.CheckOutput(o.output); err != nil {
		return nil, err
	}
	if o.rounds < 1 {
		return nil, fmt.Errorf("-n %d is not accepted: want 1 or more", o.rounds)
	}
	if o.only == "" {
		return variants, nil
	}
	expression, err := regexp.Compile("^(" + o.only + ")$")
	if err != nil {
		return nil, fmt.Errorf("-variants: %w", err)
	}
	chosen := slices.DeleteFunc(slices.Clone(variants), func(v variant) bool { return !expression.MatchString(v.name) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-variants %q matches none", o.only)
	}
	return chosen, nil
}

func connect(state string) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", onnode.Kubeconfig(state))
	if err != nil {
		return nil, err
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	return client.New(config, client.Options{Scheme: scheme.Scheme})
}
