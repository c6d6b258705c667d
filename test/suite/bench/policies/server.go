package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/reviews"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// recordedReview and recordedNamespace are what is sent, in the name of any namespace.
const (
	recordedReview    = "arc.json"
	recordedNamespace = "arc-runners"
)

// connections is how many reviews are under way at a time.
const connections = 8

// server is the running webhook.
type server struct {
	process *program.Process
	pid     int
	began   time.Time
	url     string
	metrics string // their address
	heap    string // address of the heap profile, if the server is a copy of this program
	client  *http.Client
	review  string
}

// start runs the webhook and returns once it is ready, and how long that took. Where profiled is set, it is a copy of this
// program that runs the same server and also serves its heap profile.
func start(ctx context.Context, cp *controlplane.ControlPlane, dir string, profiled bool) (_ *server, took time.Duration, err error) {
	review, err := reviews.Files.ReadFile(recordedReview)
	if err != nil {
		return nil, 0, err
	}
	if _, err := webhook.EnsureCertificate(dir); err != nil {
		return nil, 0, err
	}
	client, err := program.Client(dir, connections)
	if err != nil {
		return nil, 0, err
	}
	client.Timeout = 5 * time.Second
	kubeconfig, err := cp.Kubeconfig(cp.Config())
	if err != nil {
		return nil, 0, err
	}
	ports, err := program.FreePorts(3)
	if err != nil {
		return nil, 0, err
	}
	port, metrics, health := strconv.Itoa(ports[0]), program.Loopback(ports[1]), program.Loopback(ports[2])
	path, err := buildServer(ctx, dir, profiled)
	if err != nil {
		return nil, 0, err
	}
	args := []string{
		"webhook", "--kubeconfig", kubeconfig, "--release-namespace", releaseNamespace, "--bind-address", "127.0.0.1", "--port", port,
		"--cert-dir", dir, "--metrics-bind-address", metrics, "--health-probe-bind-address", health, "--drain-quiet-period", "0s",
	}
	if profiled {
		args = []string{serveCommand, kubeconfig, port, dir, metrics, health}
	}
	s := &server{metrics: "http://" + metrics + "/metrics", url: "https://" + program.Loopback(ports[0]) + registration.PathPod, client: client, review: string(review)}
	if profiled {
		s.heap = "http://" + metrics + "/heap"
	}
	s.began = time.Now()
	if s.process, err = program.Start(path, args...); err != nil {
		return nil, 0, err
	}
	if err := s.process.WaitReady(ctx, "http://"+health+"/readyz"); err != nil {
		return nil, 0, errors.Join(err, s.process.Stop())
	}
	took = time.Since(s.began)
	if s.pid, err = childOf(os.Getpid(), path); err != nil {
		return nil, 0, errors.Join(err, s.process.Stop())
	}
	return s, took, nil
}

// buildServer returns the path of the program to run: this one if it is profiled, else dagger-inject as it is released, without
// a C library, which would be resident too.
func buildServer(ctx context.Context, dir string, profiled bool) (string, error) {
	if profiled {
		return os.Executable()
	}
	if err := os.Setenv("CGO_ENABLED", "0"); err != nil {
		return "", err
	}
	return program.Build(ctx, dir)
}

// inject sends the review of a pod in a namespace and returns the patch.
func (s *server) inject(ctx context.Context, namespace string) (string, error) {
	body := strings.ReplaceAll(s.review, recordedNamespace, namespace)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &review); err != nil {
		return "", fmt.Errorf("%s: %w: %.500s", response.Status, err, answer)
	}
	if review.Response == nil || !review.Response.Allowed {
		return "", fmt.Errorf("the webhook answers %s: %.500s", response.Status, answer)
	}
	return string(review.Response.Patch), nil
}

// heapProfile writes what the server keeps in memory.
func (s *server) heapProfile(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.heap, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	profile, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(path, profile, 0o644)
}

// childOf returns the id of a process's child that runs a program.
func childOf(parent int, path string) (int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != path {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			return 0, err
		}
		if used, err := readUsage(pid); err == nil && used.parent == parent {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("there is no process of %s", path)
}

// usage is what a process uses.
type usage struct {
	parent int
	// RSS is what is resident now; of that Anonymous is its own memory and File is pages of the program, which can be dropped
	// and which processes share. Peak is the most that was resident. All in bytes.
	RSS, Anonymous, File, Peak int64
}

func readUsage(pid int) (usage, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(path)
	if err != nil {
		return usage{}, err
	}
	values := map[string]int64{}
	for line := range bytes.Lines(status) {
		var value int64
		name, rest, _ := strings.Cut(string(line), ":")
		if _, err := fmt.Sscan(rest, &value); err == nil {
			values[name] = value
		}
	}
	if values["VmRSS"] == 0 {
		return usage{}, fmt.Errorf("%s has no VmRSS", path)
	}
	return usage{
		parent: int(values["PPid"]),
		RSS:    values["VmRSS"] << 10, Anonymous: values["RssAnon"] << 10, File: values["RssFile"] << 10, Peak: values["VmHWM"] << 10,
	}, nil
}

// ticks is the processor time that a process has used, in hundredths of a second.
func ticks(pid int) (int64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in brackets, which may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return user + system, err
}

// settle returns once the server has had nothing to do for half a second, or after half a minute.
func (s *server) settle(ctx context.Context) error {
	before, err := ticks(s.pid)
	for deadline := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(deadline); {
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		var after int64
		if after, err = ticks(s.pid); after-before <= 1 {
			break
		}
		before = after
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
