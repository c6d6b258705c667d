// Command bench measures what an admission request costs our webhook, beside a server that does nothing and beside
// controller-runtime's typed defaulter that injects the same, in one run, over HTTPS, on recorded AdmissionReviews.
//
//	go run ./test/suite/bench                      # a table and the targets
//	go run ./test/suite/bench -o json              # the same for programs
//	go run ./test/suite/bench -check               # exit 1 where a target is missed
//	go run ./test/suite/bench -quick               # shorter, and so less exact
//	go run ./test/suite/bench -profile cpu.prof    # only a CPU profile of our server, under the review -profile-review
//
// Linux only: it reads /proc.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/webhook"
)

type options struct {
	output         string
	check          bool
	plan           plan
	profile        string
	profiledReview string
}

var errMissed = errors.New("a target is missed")

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
	o := options{plan: fullPlan}
	flag.StringVar(&o.output, "o", "text", "text or json")
	flag.BoolVar(&o.check, "check", false, "exit 1 where a target is missed")
	flag.StringVar(&o.profile, "profile", "", "only write a CPU profile of our server into this file")
	flag.StringVar(&o.profiledReview, "profile-review", "gitlab", "review to profile under")
	quick := flag.Bool("quick", false, "measure less, and so less exactly")
	flag.Parse()
	if *quick {
		o.plan = quickPlan
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("-o %q is not accepted: want text or json", o.output)
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
	if o.profile != "" {
		return writeProfile(ctx, o, reviews, certs, client)
	}
	rep, err := benchmark(ctx, o.plan, reviews, certs, client, progress)
	if err != nil {
		return err
	}
	if o.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(rep)
	} else {
		err = rep.print(out)
	}
	if err == nil && o.check && rep.missed() {
		return errMissed
	}
	return err
}

// benchmark measures everything.
func benchmark(ctx context.Context, p plan, reviews []*review, certs string, client *http.Client, progress io.Writer) (*report, error) {
	children := map[string]*child{}
	defer func() {
		for _, c := range children {
			_ = c.stop()
		}
	}()
	for _, server := range servers {
		c, err := startChild(ctx, server, certs, client)
		if err != nil {
			return nil, err
		}
		children[server] = c
	}
	if err := verify(ctx, client, children, reviews); err != nil {
		return nil, err
	}
	rep := newReport(reviews)
	for _, l := range loads(reviews) {
		_, _ = fmt.Fprintf(progress, "bench: measuring %s\n", l.name)
		r, err := measure(ctx, client, children, l, p)
		if err != nil {
			return nil, err
		}
		rep.Results = append(rep.Results, r)
	}
	_, _ = fmt.Fprintf(progress, "bench: measuring decisions\n")
	for name, to := range map[string]*float64{nameEnvFew: &rep.DecisionFewNanos, nameEnvMany: &rep.DecisionManyNanos} {
		r, err := reviewNamed(reviews, name)
		if err != nil {
			return nil, err
		}
		if *to, err = decisionNanos(r); err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintf(progress, "bench: measuring memory over %d requests\n", p.memoryRequests)
	fresh, err := startChild(ctx, serverOurs, certs, client)
	if err != nil {
		return nil, err
	}
	children["fresh"] = fresh
	rep.Memory, err = measureMemory(ctx, client, fresh, load{"all", reviews}, p.memoryRequests)
	if err != nil {
		return nil, err
	}
	rep.judge()
	return rep, nil
}

func writeProfile(ctx context.Context, o options, reviews []*review, certs string, client *http.Client) (err error) {
	r, err := reviewNamed(reviews, o.profiledReview)
	if err != nil {
		return err
	}
	c, err := startChild(ctx, serverOurs, certs, client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	file, err := os.Create(o.profile)
	if err != nil {
		return err
	}
	return errors.Join(profileOurs(ctx, client, c, r, file), file.Close())
}
