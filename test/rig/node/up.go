//go:build linux

package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

//go:embed config
var configs embed.FS

// initProgram is the copy of this program that the first process of a node runs.
func initProgram(state string) string { return filepath.Join(state, "dagger-inject-node") }

// up starts a cluster anew and returns once its node is ready.
func up(ctx context.Context, state string, progress io.Writer) (err error) {
	began := time.Now()
	if err := checkMachine(); err != nil {
		return err
	}
	if state, err = filepath.Abs(state); err != nil {
		return err
	}
	s := &settings{ID: id(state)}
	if err := s.findBinaries(ctx, progress); err != nil {
		return err
	}
	if err := down(ctx, state); err != nil {
		return fmt.Errorf("removing an earlier cluster: %w", err)
	}
	if s.HostIP, s.NodeIP, err = chooseLink(); err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	if err := s.write(state); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, down(context.WithoutCancel(ctx), state))
		}
	}()
	if err := errors.Join(s.issue(state), s.writeConfigs(state), s.makeCgroups()); err != nil {
		return err
	}
	// "go run" removes this program when it ends, and the copy's path tells whose process it is.
	if err := copyProgram("/proc/self/exe", initProgram(state)); err != nil {
		return err
	}
	if err := s.launchInit(state); err != nil {
		return err
	}
	// The control plane starts meanwhile.
	images, err := buildImages(ctx, state, progress)
	if err != nil {
		return err
	}
	if err := s.waitReady(ctx, state, images); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "the node is ready after %s\n", time.Since(began).Round(time.Second))
	fmt.Printf("export KUBECONFIG=%s PATH=%s:$PATH\n", kubeconfig(state), s.Kubernetes)
	return nil
}

// checkMachine says what is missing before anything is started.
func checkMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("a node takes root: run this as root")
	}
	var missing []string
	for _, p := range []struct{ program, pkg string }{
		{"runc", "runc"}, {"ip", "iproute2"}, {"iptables", "iptables"}, {"conntrack", "conntrack"}, {"busybox", "busybox-static"},
	} {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.pkg)
		}
	}
	if plugins, _ := filepath.Glob("/usr/lib/cni/ptp"); len(plugins) == 0 {
		missing = append(missing, "containernetworking-plugins")
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: run apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

// findBinaries builds what is missing of the node's programs.
func (s *settings) findBinaries(ctx context.Context, progress io.Writer) (err error) {
	s.Kubernetes, err = tools.Build(ctx, progress, tools.Kubernetes,
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")
	if err != nil {
		return err
	}
	s.Containerd, err = tools.Build(ctx, progress, "rig/containerd", "containerd", "containerd-shim-runc-v2", "ctr")
	if err != nil {
		return err
	}
	s.CoreDNS, err = tools.Build(ctx, progress, "rig/coredns", "coredns")
	return err
}

// writeConfigs fills the templates of the programs' configuration.
func (s *settings) writeConfigs(state string) error {
	values := map[string]string{
		"Inside": inside, "PauseImage": pauseImage, "PodRange": podRange, "DNSIP": dnsIP,
		"ContainerdSocket": containerdSocket, "Cgroup": s.cgroup(),
	}
	return fs.WalkDir(configs, "config", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		t, err := template.ParseFS(configs, path)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, values); err != nil {
			return err
		}
		file := filepath.Join(state, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, text.Bytes(), 0o644)
	})
}

func copyProgram(from, to string) error {
	program, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, program, 0o755)
}

// launchInit starts the first process of the node in namespaces of its own, and connects them with the machine.
func (s *settings) launchInit(state string) error {
	log, err := os.Create(filepath.Join(state, "init.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(initProgram(state), initCommand, state)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	goOn, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting a process in namespaces of its own: %w", err)
	}
	for _, args := range [][]string{
		{"link", "add", s.link(), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(cmd.Process.Pid)},
		{"address", "add", s.HostIP + "/" + linkBits, "dev", s.link()},
		{"link", "set", s.link(), "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	if _, err := goOn.Write([]byte{'\n'}); err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	return errors.Join(goOn.Close(), cmd.Process.Release())
}
