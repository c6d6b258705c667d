package localcluster

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// process is a running program whose end somebody waits for.
type process struct {
	cmd *exec.Cmd
	log string
	// done is closed once the program has ended; err says how.
	done chan struct{}
	err  error
}

// start runs a binary under a name, with its output in a file. It ends with the cluster at the latest.
func (c *Cluster) start(name, binary string, args ...string) (*process, error) {
	path, err := c.Launcher(name, binary)
	if err != nil {
		return nil, err
	}
	return run(path, filepath.Join(filepath.Dir(path), name+".log"), os.Environ(), args...)
}

// run starts a launcher. Its output is appended to a file.
func run(launcher, log string, env []string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(launcher, args...), log: log, done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, file, file
	// A process group of its own: a Ctrl-C at the terminal is ours to pass on.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	go func() {
		defer close(p.done)
		p.err = errors.Join(p.cmd.Wait(), file.Close())
	}()
	return p, nil
}

// signal sends a signal; a process that has ended ignores it.
func (p *process) signal(s os.Signal) {
	// The only failure is that the process has ended, which done tells better.
	_ = p.cmd.Process.Signal(s)
}

// output returns what the program has printed so far.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
