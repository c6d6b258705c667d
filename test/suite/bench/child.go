package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

// child is a running server process.
type child struct {
	server  string
	url     string // of the admission server, without a path
	control string // of its control endpoint
	command *exec.Cmd
	stdin   io.Closer
}

// patience is how long a server may take to start.
const patience = 30 * time.Second

// startChild starts this program again as a server and returns once it answers.
func startChild(ctx context.Context, server, certs string, client *http.Client) (*child, error) {
	c, stdout, err := launch(ctx, server, certs)
	if err != nil {
		return nil, err
	}
	if err := c.waitReady(ctx, client, bufio.NewReader(stdout)); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the server %s: %w", server, err), c.stop())
	}
	return c, nil
}

// launch starts the process and returns its standard output.
func launch(ctx context.Context, server, certs string) (*child, io.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	// controller-runtime's server cannot be asked for any port.
	ports, err := program.FreePorts(1)
	if err != nil {
		return nil, nil, err
	}
	command := exec.CommandContext(ctx, self, "serve", server, certs, strconv.Itoa(ports[0]))
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := command.Start(); err != nil {
		return nil, nil, err
	}
	return &child{server: server, command: command, stdin: stdin, url: "https://" + program.Loopback(ports[0])}, stdout, nil
}

// waitReady reads the control endpoint, which the server prints first, and waits until the server answers.
func (c *child) waitReady(ctx context.Context, client *http.Client, stdout *bufio.Reader) error {
	line, err := stdout.ReadString('\n')
	address := strings.TrimSpace(line)
	if _, _, notOne := net.SplitHostPort(address); err != nil || notOne != nil {
		return fmt.Errorf("it said %q", address)
	}
	c.control = "http://" + address
	ended := make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(stdout)
		ended <- string(rest)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := get(ctx, client, c.url, io.Discard)
		if err == nil {
			return nil
		}
		select {
		case rest := <-ended:
			return fmt.Errorf("it ended and said %q", strings.TrimSpace(rest))
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// get writes the answer to a GET request to w, of whatever code.
func get(ctx context.Context, client *http.Client, url string, w io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(w, response.Body)
	return err
}

// usage asks the process what it has used, after a garbage collection if collect is set.
func (c *child) usage(ctx context.Context, collect bool) (usage, error) {
	url := c.control + "/usage"
	if collect {
		url += "?gc=1"
	}
	var text strings.Builder
	if err := get(ctx, http.DefaultClient, url, &text); err != nil {
		return usage{}, err
	}
	var used usage
	if err := json.Unmarshal([]byte(text.String()), &used); err != nil {
		return usage{}, fmt.Errorf("asking %s for its usage: %w: %s", c.server, err, text.String())
	}
	return used, nil
}

// profile writes a CPU profile of the next seconds.
func (c *child) profile(ctx context.Context, seconds int, w io.Writer) error {
	return get(ctx, http.DefaultClient, fmt.Sprintf("%s/profile?seconds=%d", c.control, seconds), w)
}

// stop ends the process.
func (c *child) stop() error {
	err := c.stdin.Close()
	_ = c.command.Wait()
	return err
}
