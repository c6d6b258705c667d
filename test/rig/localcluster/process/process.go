// Package process runs a program in the background, with its output in a file.
package process

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// Process is a running program.
type Process struct {
	cmd *exec.Cmd
	log string
	// done is closed once the program has ended; err says how.
	done chan struct{}
	err  error
}

// Start runs the program at a path. Its output is appended to the file log.
func Start(path, log string, env []string, args ...string) (*Process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(path, args...), log: log, done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, file, file
	// In a process group of its own, the program does not get a Ctrl-C at the terminal: the caller decides what to send.
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

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal. It fails if the process has ended.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done returns a channel that is closed once the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the program ended. It may be called once Done is closed.
func (p *Process) Err() error { return p.err }

// Status returns the exit status. It may be called once Done is closed.
func (p *Process) Status() syscall.WaitStatus { return p.cmd.ProcessState.Sys().(syscall.WaitStatus) }

// Output returns what the program has printed so far.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
