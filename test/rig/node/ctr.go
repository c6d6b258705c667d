//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ctr becomes containerd's own client, ctr, connected to the node's containerd and in the kubelet's namespace.
func ctr(state string, args []string) error {
	program, socket, err := containerdClient(state)
	if err != nil {
		return err
	}
	return syscall.Exec(program, append([]string{"ctr", "--address", socket, "--namespace", "k8s.io"}, args...), os.Environ())
}

// containerdClient returns the path of ctr, and that of the node's containerd's socket.
func containerdClient(state string) (program, socket string, err error) {
	state, err = filepath.Abs(state)
	if err != nil {
		return "", "", err
	}
	s, err := readSettings(state)
	if err != nil {
		return "", "", fmt.Errorf("no cluster is up in %s: %w", state, err)
	}
	pid, err := findInit(state)
	if err != nil {
		return "", "", err
	}
	if pid == 0 {
		return "", "", fmt.Errorf("the cluster of %s does not run", state)
	}
	// The socket is in the node's own file system, which the kernel shows here.
	return filepath.Join(s.Containerd, "ctr"), filepath.Join("/proc", strconv.Itoa(pid), "root", containerdSocket), nil
}
