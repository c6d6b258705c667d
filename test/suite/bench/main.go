// Command bench measures what an admission request costs our webhook, beside a server that does nothing and beside
// controller-runtime's typed defaulter that injects the same, in one run, over HTTPS, on recorded AdmissionReviews.
//
// Linux only: it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
	"github.com/dagger-inject/dagger-inject/webhook"
)

const help = `Measures what an admission request costs our webhook, beside a server that does nothing (the floor) and a typed defaulter.
Whatever the machine does beside it, all three see alike; "make bench" runs the other benchmarks too.

Example:
  go run ./test/suite/bench                      # tables, and the limits; a minute and a half
  go run ./test/suite/bench -o json              # the same for programs
  go run ./test/suite/bench -check               # exit 1 where a limit is missed
  go run ./test/suite/bench -profile cpu.prof    # only a CPU profile of our server
  go run ./test/suite/bench -profile-text test/suite/bench/profile.txt    # only the top of one, as text

Flags:
`

type options struct {
	output         string
	check, quick   bool
	profile        string
	profileText    string
	profiledReview string
}

func main() {
	// test/suite/creation starts the servers too, with a policy of its own.
	if len(os.Args) >= 5 && os.Args[1] == "serve" {
		port, err := strconv.Atoi(os.Args[4])
		policies := builtInPolicies()
		if err == nil && len(os.Args) > 5 {
			policies, err = policiesOf(os.Args[5])
		}
		if err == nil {
			err = serve(os.Args[2], os.Args[3], port, policies)
		}
		exit(err, os.Stdout)
	}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), help)
		flags.PrintDefaults()
	}
	var o options
	flags.StringVar(&o.output, "o", figures.OutputText, "text or json")
	flags.BoolVar(&o.check, "check", false, "exit 1 where a limit is missed")
	flags.BoolVar(&o.quick, "quick", false, "measure less, and so less exactly")
	flags.StringVar(&o.profile, "profile", "", "only write a CPU profile of our server into this `file`")
	flags.StringVar(&o.profileText, "profile-text", "", "only write the top of a CPU profile, as text, into this `file`")
	flags.StringVar(&o.profiledReview, "profile-review", "gitlab", "`review` to profile under")
	// ExitOnError: an error does not come back.
	_ = flags.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o, os.Stdout, os.Stderr), os.Stderr)
}

func exit(err error, w io.Writer) {
	if err != nil {
		_, _ = fmt.Fprintln(w, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	if err := figures.CheckOutput(o.output); err != nil {
		return err
	}
	machine, err := figures.ThisMachine()
	if err != nil {
		return err
	}
	reviews, err := loadReviews()
	if err != nil {
		return err
	}
	certs, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(certs)) }()
	if _, err := webhook.EnsureCertificate(certs); err != nil {
		return err
	}
	client, err := program.Client(certs, connections)
	if err != nil {
		return err
	}
	if o.profile != "" || o.profileText != "" {
		return writeProfiles(ctx, o, reviews, certs, client)
	}
	p := fullPlan
	if o.quick {
		p = quickPlan
	}
	rep := &figures.Request{Run: figures.Run{Machine: machine, Quick: o.quick}, Connections: connections}
	if err := benchmark(ctx, rep, p, reviews, certs, client, progress); err != nil {
		return err
	}
	return (&figures.Report{Request: rep}).Emit(out, o.output, o.check)
}

// benchmark measures everything.
func benchmark(
	ctx context.Context, rep *figures.Request, p plan, reviews []*review, certs string, client *http.Client, progress io.Writer,
) error {
	children := map[string]*child{}
	defer func() {
		for _, c := range children {
			_ = c.stop()
		}
	}()
	for _, server := range servers {
		c, err := startChild(ctx, server, certs, client)
		if err != nil {
			return err
		}
		children[server] = c
	}
	if err := verify(ctx, client, children, reviews); err != nil {
		return err
	}
	for _, l := range loads(reviews) {
		_, _ = fmt.Fprintf(progress, "bench: measuring %s\n", l.name)
		measured, err := measure(ctx, client, children, l, p)
		if err != nil {
			return err
		}
		rep.Loads = append(rep.Loads, *measured)
	}
	_, _ = fmt.Fprintf(progress, "bench: measuring decisions\n")
	for _, name := range []string{nameArc, nameEnvFew, nameEnvMany} {
		r, err := reviewNamed(reviews, name)
		if err != nil {
			return err
		}
		d, err := measureDecision(r)
		if err != nil {
			return err
		}
		rep.Decisions = append(rep.Decisions, d)
	}
	_, _ = fmt.Fprintf(progress, "bench: measuring memory over %d requests\n", p.memoryRequests)
	fresh, err := startChild(ctx, serverOurs, certs, client)
	if err != nil {
		return err
	}
	children["fresh"] = fresh
	if rep.Memory, err = measureMemory(ctx, client, fresh, load{"all", reviews}, p.memoryRequests); err != nil {
		return err
	}
	return judge(rep)
}
