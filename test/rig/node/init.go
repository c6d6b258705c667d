//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// initCommand is the hidden command of the node's first process. It is also what tells that process from others.
const initCommand = "init"

// pause is how long a process that ended stays down, so that one that cannot start does not use the machine up.
const pause = time.Second

// runInit is the node's first process, in namespaces that are new. It waits for a byte of its input, which says that its network
// is there, and serves until it is killed.
func runInit(state string) error {
	if n, err := os.Stdin.Read(make([]byte, 1)); n == 0 {
		return fmt.Errorf("not started to the end: %w", err)
	}
	s, err := readSettings(state)
	if err != nil {
		return err
	}
	if err := s.mount(state); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(nodeName)); err != nil {
		return err
	}
	if err := s.configureNetwork(); err != nil {
		return err
	}
	return supervise(s.processes())
}

// mount hides the machine's folders that a node writes to, and shows the node's own there.
func (s *settings) mount(state string) error {
	// Nothing mounted here may appear on the machine; within the node, mounts are shared as kubelets expect it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("making mounts shared: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	for _, b := range []struct{ from, to string }{
		{state, filepath.Join(inside, "state")},
		{s.Kubernetes, filepath.Join(inside, "kubernetes")},
		{s.Containerd, filepath.Join(inside, "containerd")},
		{s.CoreDNS, filepath.Join(inside, "coredns")},
		{filepath.Join(state, "lib"), "/var/lib"},
		{filepath.Join(state, "log"), "/var/log"},
	} {
		if err := errors.Join(os.MkdirAll(b.from, 0o755), os.MkdirAll(b.to, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount(b.from, b.to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", b.from, b.to, err)
		}
	}
	return nil
}

// configureNetwork gives the node its addresses.
func (s *settings) configureNetwork() error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", dnsIP + "/32", "dev", "lo"},
		{"address", "add", s.NodeIP + "/" + linkBits, "dev", "eth0"},
		{"link", "set", "eth0", "up"},
		// Services are reached by a route, whatever the way out: kube-proxy rewrites the address afterwards.
		{"route", "add", "default", "via", s.HostIP},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// supervise runs processes for ever. As the first process of its namespace it also waits for those whose parent is gone, so
// that its own are waited for here too.
func supervise(processes []process) error {
	s := supervisor{running: map[int]process{}}
	for _, p := range processes {
		s.start(p)
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			time.Sleep(pause) // Nothing runs just now.
		default:
			s.ended(pid)
		}
	}
}

type supervisor struct {
	sync.Mutex
	running map[int]process
}

// start holds the lock until the process is known, so that supervise does not see its end before.
func (s *supervisor) start(p process) {
	s.Lock()
	defer s.Unlock()
	pid, err := launch(p)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting", p.name+":", err)
		time.AfterFunc(pause, func() { s.start(p) })
		return
	}
	s.running[pid] = p
}

func (s *supervisor) ended(pid int) {
	s.Lock()
	defer s.Unlock()
	if p, ok := s.running[pid]; ok {
		delete(s.running, pid)
		fmt.Fprintln(os.Stderr, p.name, "ended")
		time.AfterFunc(pause, func() { s.start(p) })
	}
}

// launch starts a process whose output goes to its log.
func launch(p process) (int, error) {
	log, err := os.OpenFile(filepath.Join("/var/log", p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	// containerd finds its shim, and kube-proxy iptables, by PATH.
	env := []string{"PATH=" + filepath.Join(inside, "containerd") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return syscall.ForkExec(p.args[0], p.args, &syscall.ProcAttr{Env: env, Files: []uintptr{null.Fd(), log.Fd(), log.Fd()}})
}
