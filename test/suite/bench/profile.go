package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The functions of a profile that are shown as text. What others take counts as their callers'.
const (
	shownStages    = `dagger-inject|^crypto/tls.\(\*Conn\).(Read|Write)$|^runtime.gcBgMarkWorker$`
	hiddenStages   = `rawjson.\(\*parser\)` // it calls itself
	shownFunctions = `dagger-inject|^crypto/tls|^net/http|^runtime.gcBgMarkWorker$|^runtime.mcall$`
)

// writeProfiles writes a CPU profile of our server, and the same as text, into the files that are named.
func writeProfiles(ctx context.Context, o options, reviews []*review, certs string, client *http.Client) (err error) {
	r, err := reviewNamed(reviews, o.profiledReview)
	if err != nil {
		return err
	}
	c, err := startChild(ctx, serverOurs, certs, client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	var profile bytes.Buffer
	if err := profileOurs(ctx, client, c, r, &profile); err != nil {
		return err
	}
	path := o.profile
	if path == "" {
		path = filepath.Join(certs, "cpu.prof")
	}
	if err := os.WriteFile(path, profile.Bytes(), 0o644); err != nil || o.profileText == "" {
		return err
	}
	text, err := profileText(ctx, path, r.name)
	if err != nil {
		return err
	}
	return os.WriteFile(o.profileText, []byte(text), 0o644)
}

// profileText returns a profile as text, without what differs between two runs of the same code for no reason.
func profileText(ctx context.Context, profile, review string) (string, error) {
	stages, err := top(ctx, "-cum", "-nodecount=10", "-show="+shownStages, "-hide="+hiddenStages, profile)
	if err != nil {
		return "", err
	}
	functions, err := top(ctx, "-nodecount=10", "-show="+shownFunctions, profile)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`CPU time of our server under the review %s, renewed by:

    go run ./test/suite/bench -profile-review %s -profile-text test/suite/bench/profile.txt

By what each function takes with all that it calls, and by what it takes alone; functions that are not shown count as their callers.

%s
%s`, review, review, stages, functions), nil
}

// top returns the table of go tool pprof -top.
func top(ctx context.Context, args ...string) (string, error) {
	tool := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-top"}, args...)...)
	var stdout, stderr bytes.Buffer
	tool.Stdout, tool.Stderr = &stdout, &stderr
	if err := tool.Run(); err != nil {
		return "", fmt.Errorf("go tool pprof: %w: %s", err, stderr.String())
	}
	const head = "      flat"
	_, table, found := strings.Cut(stdout.String(), head)
	if !found {
		return "", fmt.Errorf("go tool pprof shows no table: %.300s", stdout.String())
	}
	return head + strings.ReplaceAll(table, "github.com/dagger-inject/dagger-inject/", ""), nil
}

// profileOurs writes a CPU profile of our server under one review.
func profileOurs(ctx context.Context, client *http.Client, c *child, r *review, w io.Writer) error {
	const seconds = 10
	l := load{r.name, []*review{r}}
	if _, err := send(ctx, client, c, l, until(2000, 3*time.Second)); err != nil {
		return err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- c.profile(ctx, seconds, w) }()
	if _, err := send(ctx, client, c, l, func(_ int, took time.Duration) bool { return took >= (seconds+1)*time.Second }); err != nil {
		return err
	}
	if err := <-profiled; err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	return nil
}
