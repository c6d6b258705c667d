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

// Where time goes: what is shown of a profile as text. A function that is not shown counts as its caller.
const (
	shownFunctions = "dagger-inject|^crypto/tls|^net/http|^runtime.gcBgMarkWorker$|^runtime.mcall$"
	shownLines     = 22
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
	tool := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", fmt.Sprint("-nodecount=", shownLines), "-show="+shownFunctions, profile)
	var stdout, stderr bytes.Buffer
	tool.Stdout, tool.Stderr = &stdout, &stderr
	if err := tool.Run(); err != nil {
		return "", fmt.Errorf("go tool pprof: %w: %s", err, stderr.String())
	}
	_, table, found := strings.Cut(stdout.String(), "      flat")
	if !found {
		return "", fmt.Errorf("go tool pprof shows no table: %.300s", stdout.String())
	}
	return fmt.Sprintf(`CPU time of our server under the review %s. Renew it with:

    go run ./test/suite/bench -profile-review %s -profile-text test/suite/bench/profile.txt

What runs in a function that is not shown counts as its caller's; cum has all that it calls.

      flat%s`, review, review, strings.ReplaceAll(table, "github.com/dagger-inject/dagger-inject/", "")), nil
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
