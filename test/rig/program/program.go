// Package program builds and runs dagger-inject as an operator would, for tests and the demo.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// Build compiles the program into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	// In its own module: a nested one, whose tests may build it too, does not have all that it is made of.
	root, err := tools.Root(ctx)
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(filepath.Join(dir, "dagger-inject"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/dagger-inject")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building dagger-inject: %w\n%s", err, out)
	}
	return path, nil
}

// Process is a running program.
type Process struct {
	cmd *exec.Cmd
	log Log
}

// Start runs the program at path.
func Start(path string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// Terminate asks the program to end, and does not wait for it.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Stop asks the program to end and waits for it. An error says that it did not end by itself and well, with its log.
func (p *Process) Stop() error { return errors.Join(p.Terminate(), p.Wait()) }

// Wait waits for the program to end. An error says that it did not end well, with its log.
func (p *Process) Wait() error {
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, p.log.String())
	}
	return nil
}

// Log returns what the program has printed so far.
func (p *Process) Log() string { return p.log.String() }

// WaitReady polls an address until it answers 200, for half a minute at most.
func (p *Process) WaitReady(ctx context.Context, url string) error {
	err := poll.Until(ctx, url+" is ready", 20*time.Millisecond, 30*time.Second, poll.Healthy(http.DefaultClient, url))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.log.String())
	}
	return nil
}

// FreePorts returns as many ports of the loopback address that nobody listens on.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		// Kept open until all are chosen, so that no port comes twice.
		defer func() { _ = listener.Close() }()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// Loopback returns the loopback address with a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Log is a buffer that may be written and read at one time.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
