// Command record records the AdmissionReviews that the benchmark in test/suite/bench sends.
//
// It starts a real API server, registers a webhook that keeps what it is sent, and creates pods as runner controllers
// create them: through their own service accounts and with client-go, so that users, defaults and managedFields are those
// of a cluster. Run it at the root of the module, whenever the pods or the API server's version change:
//
//	go run ./test/suite/bench/record
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir := flag.String("o", filepath.FromSlash("test/suite/bench/reviews"), "folder to write the reviews to")
	flag.Parse()
	if err := record(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		stop()
		os.Exit(1)
	}
}

// record writes one file for every recording into dir, which must exist.
func record(ctx context.Context, dir string) error {
	cp, err := controlplane.Start(ctx, controlplane.Options{Output: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { _ = cp.Stop() }()
	hook := newRecorder()
	defer hook.Close()
	clients := map[string]*kubernetes.Clientset{}
	for _, c := range creators {
		if clients[c.namespace], err = prepare(ctx, cp, c); err != nil {
			return err
		}
	}
	if err := cp.RegisterWebhooks(ctx, hook.configuration()); err != nil {
		return err
	}
	for _, r := range recordings {
		pod, err := r.pod()
		if err != nil {
			return err
		}
		pods := clients[pod.Namespace].CoreV1().Pods(pod.Namespace)
		if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating the pod of %s: %w", r.name, err)
		}
		// Several recordings are made of one pod, under its one name.
		if err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
			return fmt.Errorf("deleting the pod of %s: %w", r.name, err)
		}
		body := <-hook.bodies
		file := filepath.Join(dir, r.name+".json")
		if err := os.WriteFile(file, body, 0o644); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(os.Stderr, "%s: %d bytes\n", file, len(body))
	}
	return nil
}

// creator is a controller that creates pods in a namespace.
type creator struct {
	namespace       string
	podAccount      string // the service account of its pods
	ownNamespace    string
	account, client string // its own service account and user agent
}

var creators = []creator{
	{"arc-runners", "arc-runner-set-gha-rs-no-permission", "arc-systems", "arc-gha-rs-controller", "manager"},
	{"ci", "default", "gitlab-runner", "gitlab-runner", "gitlab-runner 19.4.0 linux/amd64"},
}

// prepare makes a creator's namespaces and service accounts, and returns a client that is logged in as the creator.
func prepare(ctx context.Context, cp *controlplane.ControlPlane, c creator) (*kubernetes.Clientset, error) {
	for _, namespace := range []string{c.namespace, c.ownNamespace} {
		if err := cp.CreateNamespace(ctx, namespace, nil, nil); err != nil {
			return nil, err
		}
	}
	if err := cp.CreateServiceAccounts(ctx, c.namespace, c.podAccount); err != nil {
		return nil, err
	}
	if err := cp.CreateServiceAccounts(ctx, c.ownNamespace, c.account); err != nil {
		return nil, err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: c.account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.ownNamespace, Name: c.account}},
	}
	if err := cp.Client().Create(ctx, binding); err != nil {
		return nil, fmt.Errorf("allowing %s to create pods: %w", c.account, err)
	}
	config, err := cp.ServiceAccountConfig(ctx, c.ownNamespace, c.account)
	if err != nil {
		return nil, err
	}
	// The field manager that managedFields names is the user agent up to its first slash.
	config.UserAgent = c.client
	return kubernetes.NewForConfig(config)
}
