// Package controlplane starts a real etcd and kube-apiserver for tests, demos and benchmarks.
//
// It is envtest's control plane, made as strict as a cluster's: every default admission plugin runs, ServiceAccount
// included, and RBAC decides. There are no controllers and no nodes; what a controller would have made and admission
// needs (service accounts, a quota's status), the Create functions make.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// Options says what to start; its zero value serves.
type Options struct {
	// Output receives progress, one line a step.
	Output io.Writer
	// ServerLogs receives what the API server logs.
	ServerLogs io.Writer
	// AuditPolicy is the YAML of an audit policy; AuditLog names the file that it fills.
	AuditPolicy string
	// ExtraArgs are flags of the API server, without dashes. They replace the defaults; an empty list drops a flag.
	// Anonymous requests to /healthz must stay allowed: envtest waits for their success.
	ExtraArgs map[string][]string
}

// ControlPlane is a running etcd and kube-apiserver. Its methods may be called concurrently.
type ControlPlane struct {
	dir    string
	plane  *envtest.ControlPlane
	logs   []*os.File
	admin  *rest.Config
	client client.Client

	// kill ends the processes and removes the folder; stop does that and tidies up in this process. Both work once.
	kill, stop func() error

	// users protects AddUser: its certificate authority counts serial numbers without a lock.
	users sync.Mutex
}

// patience is the time limit of every wait. A start takes three seconds on an idle machine, but tests share theirs.
const patience = time.Minute

// Start starts a control plane and waits until it is ready for pods. Cancelling the context stops it as Stop does.
func Start(ctx context.Context, opts Options) (_ *ControlPlane, err error) {
	if opts.Output == nil {
		opts.Output = io.Discard
	}
	defer func() {
		// What a cancelled start fails with is about the processes that were killed.
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
	}()
	binaries, err := tools.Build(ctx, opts.Output, tools.Kubernetes, etcd, apiServer)
	if err != nil {
		return nil, fmt.Errorf("finding the control plane's binaries: %w", err)
	}
	began := time.Now()
	dir, err := os.MkdirTemp("", "controlplane-")
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{dir: dir}
	if cp.kill, err = newGuard(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the guard of %s: %w", dir, err), os.RemoveAll(dir))
	}
	cp.stop = sync.OnceValue(cp.shutDown)
	defer func() {
		if err != nil {
			err = errors.Join(err, cp.stop())
		}
	}()
	// envtest's Start takes no context, but ends when its processes do.
	release := context.AfterFunc(ctx, func() { _ = cp.kill() })
	defer release()

	if err := cp.configure(binaries, opts); err != nil {
		return nil, err
	}
	if err := cp.plane.Start(); err != nil {
		said := tail(cp.log(apiServer))
		if said == "" {
			said = tail(cp.log(etcd))
		}
		return nil, fmt.Errorf("starting the control plane: %w%s", err, said)
	}
	if err := cp.prepare(ctx); err != nil {
		return nil, err
	}
	if !release() {
		return nil, ctx.Err()
	}
	context.AfterFunc(ctx, func() { _ = cp.stop() })
	_, _ = fmt.Fprintf(opts.Output, "control plane ready at %s after %s\n", cp.admin.Host, time.Since(began).Round(10*time.Millisecond))
	return cp, nil
}

// configure describes the two processes to envtest.
func (cp *ControlPlane) configure(binaries string, opts Options) error {
	var paths []string
	for _, name := range []string{etcd, apiServer} {
		path, err := cp.Launcher(name, filepath.Join(binaries, name))
		if err != nil {
			return err
		}
		file, err := os.Create(cp.log(name))
		if err != nil {
			return err
		}
		paths, cp.logs = append(paths, path), append(cp.logs, file)
	}
	certificates := filepath.Join(cp.dir, "certificates")
	if err := os.Mkdir(certificates, 0o700); err != nil {
		return err
	}
	var serverLog io.Writer = cp.logs[1]
	if opts.ServerLogs != nil {
		serverLog = io.MultiWriter(serverLog, opts.ServerLogs)
	}
	store := &envtest.Etcd{
		Path: paths[0], DataDir: filepath.Join(cp.dir, "etcd-data"), Out: cp.logs[0], Err: cp.logs[0], StartTimeout: patience,
	}
	server := &envtest.APIServer{
		Path: paths[1], CertDir: certificates, Out: serverLog, Err: serverLog, StartTimeout: patience,
	}
	cp.plane = &envtest.ControlPlane{Etcd: store, APIServer: server}

	args := server.Configure()
	// envtest turns ServiceAccount off, since no controller makes service accounts here. CreateNamespace does.
	args.Disable("disable-admission-plugins")
	// Without these the server looks for an address of the host's and exits on a machine that has no network.
	args.Set("advertise-address", "127.0.0.1").Set("endpoint-reconciler-type", "none")
	if opts.AuditPolicy != "" {
		policy := filepath.Join(cp.dir, "audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(opts.AuditPolicy), 0o600); err != nil {
			return err
		}
		args.Set("audit-policy-file", policy).Set("audit-log-path", cp.AuditLog())
	}
	for name, values := range opts.ExtraArgs {
		if len(values) == 0 {
			args.Disable(name)
			continue
		}
		args.Set(name, values...)
	}
	return nil
}

// prepare waits for the API server and makes what a controller manager would have made at once.
func (cp *ControlPlane) prepare(ctx context.Context) error {
	var err error
	if cp.admin, err = cp.UserConfig("admin", "system:masters"); err != nil {
		return err
	}
	// controller-runtime's client would log the API server's warnings, and complain if no logger is set.
	quiet := rest.CopyConfig(cp.admin)
	quiet.WarningHandler = rest.NoWarnings{}
	plain, err := rest.HTTPClientFor(quiet)
	if err != nil {
		return err
	}
	options := client.Options{HTTPClient: plain, Scheme: scheme.Scheme, Log: logr.New(log.NullLogSink{})}
	if cp.client, err = client.New(quiet, options); err != nil {
		return err
	}
	if err := soon(ctx, "the API server is ready", poll.Healthy(plain, quiet.Host+"readyz")); err != nil {
		return err
	}
	for _, namespace := range []string{"default", "kube-system"} {
		err := soon(ctx, "the namespace "+namespace+" is there", func(ctx context.Context) error {
			err := cp.CreateServiceAccounts(ctx, namespace, "default")
			if apierrors.IsNotFound(err) {
				return err
			}
			return poll.Fatal(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Stop kills the processes and removes their files. Only the first call does anything; each returns what it returned.
func (cp *ControlPlane) Stop() error { return cp.stop() }

func (cp *ControlPlane) shutDown() error {
	// SIGKILL, not envtest's SIGTERM: an API server with a watch open drains for a minute, envtest waits 20 seconds of it
	// and reports an error, and nothing is kept that a clean end would save.
	problems := []error{cp.kill()}
	if cp.plane != nil {
		for _, reap := range []func() error{cp.plane.APIServer.Stop, cp.plane.Etcd.Stop} {
			// ESRCH: the process ended between envtest's look at it and its signal.
			if err := reap(); !errors.Is(err, syscall.ESRCH) {
				problems = append(problems, err)
			}
		}
	}
	for _, file := range cp.logs {
		problems = append(problems, file.Close())
	}
	return errors.Join(append(problems, os.RemoveAll(cp.dir))...)
}

// AuditLog returns the path of the audit log, which exists only where Options.AuditPolicy was set.
func (cp *ControlPlane) AuditLog() string { return filepath.Join(cp.dir, "audit.log") }

// Folder returns a new, empty folder that Stop removes.
func (cp *ControlPlane) Folder(name string) (string, error) {
	path := filepath.Join(cp.dir, name)
	return path, os.Mkdir(path, 0o700)
}

// log returns the path of a process's log.
func (cp *ControlPlane) log(name string) string { return filepath.Join(cp.dir, name+".log") }

// soon waits for something that takes milliseconds.
func soon(ctx context.Context, what string, try func(context.Context) error) error {
	return poll.Until(ctx, what, 5*time.Millisecond, patience, try)
}
