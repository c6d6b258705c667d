// Command all runs the benchmarks one after the other, keeps what each found, and prints one table of all limits.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dagger-inject/dagger-inject/test/rig/tools"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

const help = `Runs the benchmarks one after the other, and prints one table of all limits: "make bench" is this program.

What each part finds is kept in bin/bench/PART.json, whatever becomes of those after it. The table has all parts that are there, and
says which are missing, and which are not of this run. Parts:

  request          what a request costs, beside two other servers             3 minutes
  policies         what 1,000 namespaces with policies cost a replica         2 minutes
  policies-many    what 10,000 with policies and 5,000 engines cost it        5 minutes
  creation         what a creation takes, beside a MutatingAdmissionPolicy    3 minutes
  startup          what a start takes on a real node; left out where this     20 minutes
                   is not root, or a node's parts are not installed

The exit code is 1 where a part has failed, and, with -check, where a limit is missed.

Example:
  make bench                                              # everything; the tree stays as it is
  make bench BENCHFLAGS=-quick                            # everything, less exactly, in a third of the time
  make bench BENCHFLAGS='-parts request,creation'         # only these; of the others, what is in bin/bench
  make bench BENCHFLAGS=-record                           # also writes test/suite/bench/measured.json and profile.txt
  make bench BENCHFLAGS='-parts none -record'             # writes measured.json from what is in bin/bench

"make golden" writes docs/performance.md and its plots from measured.json.

Flags:
`

type options struct {
	parts                string
	quick, record, check bool
	output               string
	dir                  string
}

func main() {
	flags := flag.NewFlagSet("all", flag.ExitOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), help)
		flags.PrintDefaults()
	}
	var o options
	flags.StringVar(&o.parts, "parts", "", "run only these, with commas between them; none: run none (default: all that this machine can run)")
	flags.BoolVar(&o.quick, "quick", false, "measure less, and so less exactly")
	flags.BoolVar(&o.record, "record", false, "write measured.json and profile.txt; parts that the table does not have stay as they were")
	flags.BoolVar(&o.check, "check", false, "exit 1 where a limit is missed")
	flags.StringVar(&o.output, "o", figures.OutputText, "text or json")
	flags.StringVar(&o.dir, "dir", filepath.Join("bin", "bench"), "`folder` of what each part finds, below the repository if it is relative")
	// ExitOnError: an error does not come back.
	_ = flags.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out, progress io.Writer) error {
	if err := figures.CheckOutput(o.output); err != nil {
		return err
	}
	chosen, err := choose(o.parts)
	if err != nil {
		return err
	}
	root, err := tools.Root(ctx)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(o.dir) {
		o.dir = filepath.Join(root, o.dir)
	}
	r := &runner{root: root, dir: o.dir, quick: o.quick, progress: progress, build: build, missing: map[string]string{}}
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	failed := r.runAll(ctx, chosen)
	report, earlier, err := r.combine(chosen)
	if err != nil {
		return errors.Join(failed, err)
	}
	if err := show(out, o.output, report, r.missing, earlier); err != nil {
		return errors.Join(failed, err)
	}
	if o.record && ctx.Err() == nil {
		failed = errors.Join(failed, r.record(ctx, report, chosen))
	}
	if failed == nil && o.check && len(report.Missed()) > 0 {
		return figures.ErrMissed
	}
	return failed
}

// show writes the one table, and what to know of it.
func show(out io.Writer, output string, report *figures.Report, missing map[string]string, earlier []string) error {
	if output == figures.OutputJSON {
		return report.JSON(out)
	}
	if err := report.VerdictTable(missing).Text(out); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out)
	for _, p := range report.Parts() {
		if p.Run == nil {
			continue
		}
		note := ""
		if p.Run.Quick {
			note += ", with -quick"
		}
		if slices.Contains(earlier, p.Name) {
			note += ", before this run"
		}
		m := p.Run.Machine
		_, _ = fmt.Fprintf(out, "%s: %s, at a load average of %.2f, on %s%s\n", p.Name, m, m.Load, m.Day, note)
	}
	return nil
}

// combine returns the report of all parts that are there, and the names of those that are not of this run.
func (r *runner) combine(chosen []*part) (_ *figures.Report, earlier []string, err error) {
	report := &figures.Report{}
	for _, p := range parts {
		found, err := figures.ReadFile(r.resultOf(p))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if r.missing[p.name] == "" {
				r.missing[p.name] = "not run"
			}
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("%w (of another version? remove the file, or run the part)", err)
		}
		report.Take(found)
		if !has(chosen, p.name) {
			earlier = append(earlier, p.name)
		}
	}
	return report, earlier, nil
}

// The files that -record writes.
const (
	measuredFile = "test/suite/bench/measured.json"
	profileFile  = "test/suite/bench/profile.txt"
)

// record replaces the parts of the committed report that were found, and the profile if requests were measured in this run.
func (r *runner) record(ctx context.Context, found *figures.Report, chosen []*part) error {
	path := filepath.Join(r.root, measuredFile)
	report, err := figures.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		report, err = &figures.Report{}, nil
	}
	if err != nil {
		return err
	}
	report.Take(found)
	var text strings.Builder
	if err := report.JSON(&text); err != nil {
		return err
	}
	if _, err := figures.Read(strings.NewReader(text.String())); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return err
	}
	written := measuredFile
	if has(chosen, figures.PartRequest) && found.Request != nil {
		if err := r.profile(ctx, filepath.Join(r.root, profileFile)); err != nil {
			return fmt.Errorf("writing the profile: %w", err)
		}
		written += " and " + profileFile
	}
	_, _ = fmt.Fprintf(r.progress, "bench: wrote %s; \"make golden\" writes docs/performance.md and its plots from it\n", written)
	return nil
}
