package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// version is the tag of the image that is installed.
const version = "v0.0.0-e2e"

// install gives our node our image, cert-manager, and the webhook by its chart. The function it returns ends what runs on this
// machine; the rest goes with the node.
func install(ctx context.Context) (uninstall func(), err error) {
	uninstall = func() {}
	root, err := filepath.Abs("../../..")
	if err != nil {
		return uninstall, err
	}
	dir, err := os.MkdirTemp("", "e2e-")
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
	_, err = tools.Run(ctx, nil, root, "go", "run", "./test/rig/node", "--state", cluster.node, "load",
		filepath.Join(dir, "dagger-inject.oci.tar"))
	if err != nil {
		return uninstall, err
	}
	stop, err := startCertManager(ctx, dir)
	if err != nil {
		return uninstall, err
	}
	uninstall = func() {
		stop()
		_ = os.RemoveAll(dir)
	}
	engines := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: engineNamespace}}
	if err := client.IgnoreAlreadyExists(cluster.Create(ctx, engines)); err != nil {
		return uninstall, err
	}
	_, err = tools.Run(ctx, nil, root, filepath.Join(helm, "helm"), "upgrade", "--install", "dagger-inject", "charts/dagger-inject",
		"--namespace", "dagger-inject", "--create-namespace", "--set", "image.tag="+version,
		"--set-json", "profiles="+profiles, "--wait", "--timeout", "5m")
	return uninstall, err
}

// profiles are those of the cluster's policy. A namespace's own cannot choose the transport sidecar.
const profiles = `{"forks": {"engine": {"transport": "sidecar", "sidecar": {
	"image": "registry.dagger.io/engine:v0.21.8", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}}}}`

// startCertManager runs cert-manager's controllers as a process of this machine until the function it returns is called.
func startCertManager(ctx context.Context, dir string) (stop func(), err error) {
	program, crds, err := tools.CertManager(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "certmanager.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", guard, "guard", program, "run", "--kubeconfig", os.Getenv("KUBECONFIG"), "--crds", crds)
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
