//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// down removes a cluster. It goes by what it finds, not by what up remembers, so that it works after any crash: the processes by
// their command line, the interfaces, mounts and rules with the namespaces that die with the first process.
func down(ctx context.Context, state string) error {
	state, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(state); err == nil && len(entries) > 0 {
		// Up writes this file first: any other folder is not ours to remove.
		if _, err := os.Stat(settingsFile(state)); err != nil {
			return fmt.Errorf("%s is not removed: it is not a cluster's folder (no %s)", state, filepath.Base(settingsFile(state)))
		}
	}
	for {
		pid, err := findInit(state)
		if err != nil {
			return err
		}
		if pid == 0 {
			break
		}
		if err := end(ctx, pid, state); err != nil {
			return err
		}
	}
	s := &settings{ID: id(state)}
	// The kernel removes a network, and empties control groups, some time after the processes are gone: seconds on a busy machine.
	err = poll.Until(ctx, "nothing of the node is left", 20*time.Millisecond, patience, func(context.Context) error {
		return errors.Join(s.removeLink(), s.removeCgroups())
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(state)
}

// removeLink removes the link between machine and node, if the kernel has not done so.
func (s *settings) removeLink() error {
	if _, err := os.Stat("/sys/class/net/" + s.link()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return ip("link", "delete", s.link())
}

// end kills the first process of a node and waits until it, and with it all others, is gone.
func end(ctx context.Context, pid int, state string) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return poll.Until(ctx, "the node's processes have ended", 20*time.Millisecond, time.Minute, func(context.Context) error {
		found, err := findInit(state)
		if err == nil && found == pid {
			return fmt.Errorf("process %d is there", pid)
		}
		return poll.Fatal(err)
	})
}

// findInit returns the process id of a state folder's first process, 0 if there is none.
func findInit(state string) (int, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	tail := []byte("\x00" + initCommand + "\x00" + state + "\x00")
	for _, file := range lines {
		line, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH):
			continue // It has just ended.
		case err != nil:
			return 0, err
		}
		if program, ok := bytes.CutSuffix(line, tail); ok && string(program) == initProgram(state) {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, nil
}
