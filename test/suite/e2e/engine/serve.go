package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe/probetest"
)

// startDelay is the variable that makes the engine start slowly: it listens only after that time, as an engine listens only
// once it is fully up.
const startDelay = "ENGINE_START_DELAY"

// build is what engines since v1.0.0-beta.8 add to their version: the commit that they were built from. It says nothing of what
// they work with.
const build = "+0e19eba6"

// serve is the engine: it answers at every address until the context ends.
func serve(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("dagger-engine", flag.ContinueOnError)
	var addresses []string
	flags.Func("addr", "address to listen on: unix:///PATH or tcp://HOST:PORT; may be repeated", func(value string) error {
		addresses = append(addresses, value)
		return nil
	})
	group := flags.String("group", "", "group of the socket, by number or name; default: the process's own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if len(addresses) == 0 {
		addresses = []string{os.Getenv(runnerHost)} // The image says where engines of its version listen.
	}
	if text := os.Getenv(startDelay); text != "" {
		delay, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%s: %w", startDelay, err)
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
	}
	name, err := os.Hostname() // A pod's host name is its name: what engines answer as their revision.
	if err != nil {
		return err
	}
	info := probetest.EngineInfo(version + build)
	info.Revision = name
	return listenAndServe(ctx, addresses, *group, info, log)
}

func listenAndServe(ctx context.Context, addresses []string, group string, info probe.Info, log io.Writer) error {
	servers, ctx := errgroup.WithContext(ctx)
	for _, address := range addresses {
		listener, err := listen(address, group)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(log, version, "listens on", address)
		server := probetest.Server(probetest.Handler(info))
		servers.Go(func() error { return server.Serve(listener) })
		servers.Go(func() error {
			<-ctx.Done()
			return server.Close()
		})
	}
	if err := servers.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func listen(address, group string) (net.Listener, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	switch scheme {
	case "tcp":
		return net.Listen("tcp", rest)
	case "unix":
		return listenUnix(rest, group)
	}
	return nil, fmt.Errorf("--addr %q is not accepted: accepted is unix:///PATH or tcp://HOST:PORT", address)
}

// listenUnix makes a socket as engines do: 0660, root's and the group's.
func listenUnix(path, group string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// What an engine that crashed has left.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	gid := os.Getgid()
	if group != "" {
		var err error
		if gid, err = groupID(group); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return listener, errors.Join(os.Chown(path, 0, gid), os.Chmod(path, 0o660))
}

func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	found, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found.Gid)
}
