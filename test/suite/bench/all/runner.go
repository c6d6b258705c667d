package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// part is one benchmark.
type part struct {
	name string
	// program is the folder of its program.
	program string
	args    []string
	// quick are the arguments with which it is quick.
	quick []string
	// cannot says why this machine cannot run it, or nothing. It is nil where every machine can.
	cannot func() string
}

var parts = []*part{
	{name: figures.PartRequest, program: "test/suite/bench"},
	{name: figures.PartPolicies, program: "test/suite/bench/policies", args: []string{"-namespaces", "1000"},
		quick: []string{"-namespaces", "100"}},
	{name: figures.PartPoliciesMany, program: "test/suite/bench/policies", args: []string{"-namespaces", "10000", "-engines", "5000"},
		quick: []string{"-namespaces", "200", "-engines", "100"}},
	{name: figures.PartCreation, program: "test/suite/creation"},
	{name: figures.PartStartup, program: "test/suite/startup", cannot: needsNode},
}

// needsNode says why no node can run here.
func needsNode() string {
	if os.Geteuid() != 0 {
		return "not run: a node takes root"
	}
	for _, program := range []string{"runc", "iptables", "conntrack"} {
		if _, err := exec.LookPath(program); err != nil {
			return "not run: a node's parts are not installed (go run ./test/rig/node up)"
		}
	}
	return ""
}

// choose returns the parts that a flag names. Those that this machine cannot run are among them only if they are named.
func choose(names string) ([]*part, error) {
	switch names {
	case "":
		return parts, nil
	case "none":
		return nil, nil
	}
	wanted := strings.Split(names, ",")
	for i, name := range wanted {
		wanted[i] = strings.TrimSpace(name)
		if !has(parts, wanted[i]) {
			var known []string
			for _, p := range parts {
				known = append(known, p.name)
			}
			return nil, fmt.Errorf("-parts %q: there is no part %q, only %s", names, wanted[i], strings.Join(known, ", "))
		}
	}
	var chosen []*part
	for _, p := range parts {
		if slices.Contains(wanted, p.name) {
			named := *p
			named.cannot = nil // its own program says what it lacks
			chosen = append(chosen, &named)
		}
	}
	return chosen, nil
}

func has(some []*part, name string) bool {
	return slices.ContainsFunc(some, func(p *part) bool { return p.name == name })
}

// runner runs parts.
type runner struct {
	root, dir string
	quick     bool
	progress  io.Writer
	// build returns the path of a part's program.
	build func(ctx context.Context, root, dir string, p *part) (string, error)
	// missing says why there is nothing of a part.
	missing map[string]string
}

func (r *runner) resultOf(p *part) string { return filepath.Join(r.dir, p.name+".json") }

// lock makes the folder, and keeps others from it: two runs at one time would measure each other.
func (r *runner) lock() (unlock func(), err error) {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(r.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s is in use by another run: wait until it ends (%w)", r.dir, err)
	}
	return func() { _ = file.Close() }, nil
}

// runAll runs parts one after the other, also if one fails.
func (r *runner) runAll(ctx context.Context, chosen []*part) error {
	var failed error
	// What an earlier run found must not be taken for what this one did.
	for _, p := range chosen {
		failed = errors.Join(failed, os.RemoveAll(r.resultOf(p)))
	}
	for _, p := range chosen {
		if p.cannot != nil {
			if why := p.cannot(); why != "" {
				r.missing[p.name] = why
				_, _ = fmt.Fprintf(r.progress, "bench: %s: %s\n", p.name, why)
				continue
			}
		}
		if ctx.Err() != nil {
			r.missing[p.name] = "not run: interrupted"
			continue
		}
		_, _ = fmt.Fprintf(r.progress, "bench: == %s\n", p.name)
		began := time.Now()
		err := r.run(ctx, p)
		took := time.Since(began).Round(time.Second)
		switch {
		case err == nil:
			_, _ = fmt.Fprintf(r.progress, "bench: %s took %s\n", p.name, took)
		case ctx.Err() != nil:
			r.missing[p.name] = fmt.Sprintf("interrupted after %s", took)
		default:
			r.missing[p.name] = fmt.Sprintf("failed: %.200s", err)
			failed = errors.Join(failed, fmt.Errorf("%s failed after %s: %w", p.name, took, err))
			_, _ = fmt.Fprintf(r.progress, "bench: %s failed after %s\n", p.name, took)
		}
	}
	return errors.Join(failed, ctx.Err())
}

// run runs a part, and keeps what it found if that is a report.
func (r *runner) run(ctx context.Context, p *part) error {
	program, err := r.build(ctx, r.root, r.dir, p)
	if err != nil {
		return err
	}
	args := slices.Concat([]string{"-o", figures.OutputJSON}, p.args)
	if r.quick {
		args = slices.Concat(args, []string{"-quick"}, p.quick)
	}
	var found bytes.Buffer
	if err := r.start(ctx, program, args, &found); err != nil {
		return err
	}
	report, err := figures.Read(bytes.NewReader(found.Bytes()))
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(report.Parts(), func(found figures.Part) bool { return found.Name == p.name && found.Run != nil }) {
		return fmt.Errorf("its report has no part %s", p.name)
	}
	unfinished := r.resultOf(p) + ".new"
	if err := os.WriteFile(unfinished, found.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, r.resultOf(p))
}

// profile writes the profile of the server, as text.
func (r *runner) profile(ctx context.Context, path string) error {
	program, err := r.build(ctx, r.root, r.dir, parts[0])
	if err != nil {
		return err
	}
	return r.start(ctx, program, []string{"-profile-text", path}, r.progress)
}

// start runs a program. What it says last is in the error if it fails.
func (r *runner) start(ctx context.Context, program string, args []string, out io.Writer) error {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = r.root
	said := &lastLine{}
	command.Stdout, command.Stderr = out, io.MultiWriter(r.progress, said)
	// It removes what it has started, a node for example, before it ends.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 2 * time.Minute
	if err := command.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.text())
	}
	return nil
}

// build compiles a program, so that what is measured is not beside the compiler.
func build(ctx context.Context, root, dir string, p *part) (string, error) {
	path := filepath.Join(dir, "programs", filepath.Base(p.program))
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "./"+p.program)
	command.Dir = root
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ./%s: %w: %s", p.program, err, said)
	}
	return path, nil
}

// lastLine keeps the end of what is written to it.
type lastLine struct{ end []byte }

func (l *lastLine) Write(text []byte) (int, error) {
	const most = 500
	l.end = append(l.end, text...)
	l.end = l.end[max(0, len(l.end)-most):]
	return len(text), nil
}

func (l *lastLine) text() string {
	lines := strings.Split(strings.TrimSpace(string(l.end)), "\n")
	return lines[len(lines)-1]
}
