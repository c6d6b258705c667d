// Package onnode installs the webhook, by its chart and with cert-manager, on a node of test/rig/node.
package onnode

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// version is the tag of the image that is installed.
const version = "v0.0.0-e2e"

// Options says where the webhook is installed, and how.
type Options struct {
	// State is the node's state folder.
	State string
	// Client is of the node's cluster.
	Client client.Client
	// Values are Helm's further arguments, such as --set name=value.
	Values []string
}

// Kubeconfig is the file by which the cluster of a node is reached, from the node's state folder.
func Kubeconfig(state string) string { return filepath.Join(state, "kubeconfig") }

// Install gives the node our image, cert-manager, the namespace of engines, and the webhook by its chart. The function it returns
// ends what runs on this machine, and is never nil; the rest goes with the node.
func Install(ctx context.Context, o Options) (uninstall func(), err error) {
	uninstall = func() {}
	root, err := tools.Root(ctx)
	if err != nil {
		return uninstall, err
	}
	dir, err := os.MkdirTemp("", "onnode-")
	if err != nil {
		return uninstall, err
	}
	uninstall = func() { _ = os.RemoveAll(dir) }
	helm, err := tools.Build(ctx, os.Stderr, tools.Chart, "helm")
	if err != nil {
		return uninstall, err
	}
	_, err = tools.Run(ctx, nil, filepath.Join(root, "build", "image"), "go", "run", ".", "--source", root, "--output", dir,
		"--version", version, "--arch", runtime.GOARCH, "--created", "0")
	if err != nil {
		return uninstall, err
	}
	if err := Load(ctx, o.State, filepath.Join(dir, "dagger-inject.oci.tar")); err != nil {
		return uninstall, err
	}
	stop, err := startCertManager(ctx, o.State, dir)
	if err != nil {
		return uninstall, err
	}
	uninstall = func() {
		stop()
		_ = os.RemoveAll(dir)
	}
	engines := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: enginechart.Namespace}}
	if err := client.IgnoreAlreadyExists(o.Client.Create(ctx, engines)); err != nil {
		return uninstall, err
	}
	args := append([]string{"upgrade", "--install", "dagger-inject", "charts/dagger-inject", "--kubeconfig", Kubeconfig(o.State),
		"--namespace", "dagger-inject", "--create-namespace", "--set", "image.tag=" + version, "--wait", "--timeout", "5m",
		// The tag is the same again: pods of an earlier image are replaced nevertheless.
		"--set-string", fmt.Sprintf("podAnnotations.installed=%d", time.Now().UnixNano())}, o.Values...)
	_, err = tools.Run(ctx, nil, root, filepath.Join(helm, "helm"), args...)
	return uninstall, err
}

// Load gives the node images, from OCI or Docker archives.
func Load(ctx context.Context, state string, archives ...string) error {
	root, err := tools.Root(ctx)
	if err != nil {
		return err
	}
	_, err = tools.Run(ctx, nil, root, "go", append([]string{"run", "./test/rig/node", "--state", state, "load"}, archives...)...)
	return err
}

// startCertManager runs cert-manager's controllers as a process of this machine until the function it returns is called.
func startCertManager(ctx context.Context, state, dir string) (stop func(), err error) {
	program, crds, err := tools.CertManager(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "certmanager.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", guard, "guard", program, "run", "--kubeconfig", Kubeconfig(state), "--crds", crds)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
		_ = log.Close()
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("cert-manager ended at once: %s", said)
	}
	return stop, nil
}

// guard runs a program until its own input ends, which it does with this process, however that ends: a test binary that panics or
// times out cleans nothing up.
const guard = `"$@" & read -r _; kill -9 "$!"; wait`
