package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// times are those of one container, as containerd saw them.
type times struct{ created, started, ended time.Time }

// events are what containerd says of all containers of the node.
type events struct {
	mu         sync.Mutex
	containers map[string]*times
	sandboxes  map[string]bool
	err        error
}

// watchEvents reads containerd's events until the context ends. Node is the program of test/rig/node, and state its state folder.
func watchEvents(ctx context.Context, node, state string) (*events, error) {
	cmd := exec.CommandContext(ctx, node, "--state", state, "ctr", "--", "events")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e := &events{containers: map[string]*times{}, sandboxes: map[string]bool{}}
	go func() {
		err := e.read(out)
		_ = cmd.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.err = err
	}()
	return e, nil
}

func (e *events) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := e.take(lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// take reads a line such as: 2026-11-26 10:39:46.011542166 +0000 UTC k8s.io /tasks/start {"container_id":"7c73","pid":1739}
func (e *events) take(line string) error {
	fields := strings.SplitN(line, " ", 7)
	if len(fields) != 7 {
		return fmt.Errorf("containerd's event %.200q has no six spaces", line)
	}
	at, err := time.Parse("2006-01-02 15:04:05 -0700 MST", strings.Join(fields[:4], " "))
	if err != nil {
		return fmt.Errorf("containerd's event %.200q: %w", line, err)
	}
	var about struct {
		ID        string `json:"id"`
		Container string `json:"container_id"`
		Image     string `json:"image"`
	}
	topic := fields[5]
	if !strings.HasPrefix(topic, "/tasks/") && topic != "/containers/create" {
		return nil
	}
	if err := json.Unmarshal([]byte(fields[6]), &about); err != nil {
		return fmt.Errorf("containerd's event %.200q: %w", line, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch topic {
	case "/containers/create":
		e.containers[about.ID] = &times{created: at}
		e.sandboxes[about.ID] = strings.Contains(about.Image, "/pause:")
	case "/tasks/start":
		if c := e.containers[about.Container]; c != nil {
			c.started = at
		}
	case "/tasks/exit":
		if c := e.containers[about.Container]; c != nil && about.ID == about.Container { // not that of a process beside it
			c.ended = at
		}
	}
	return nil
}

// of returns a container's times. An error says which is missing, as long as it has not started.
func (e *events) of(id string) (times, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	switch {
	case e.err != nil:
		return times{}, e.err
	case c == nil || c.started.IsZero():
		return times{}, fmt.Errorf("containerd has not said when container %q started", id)
	}
	return *c, nil
}

// sandboxSince returns the times of the first sandbox that was created since then.
func (e *events) sandboxSince(then time.Time) times {
	e.mu.Lock()
	defer e.mu.Unlock()
	var first times
	for id := range e.sandboxes {
		c := e.containers[id]
		if e.sandboxes[id] && c.created.After(then) && (first.created.IsZero() || c.created.Before(first.created)) {
			first = *c
		}
	}
	return first
}
