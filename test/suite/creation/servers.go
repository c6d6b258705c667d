package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// servers are webhooks, of test/suite/bench, by the variants whose pods they get.
var servers = map[string]string{variantNothing: "floor", variantOurs: "ours", variantTyped: "typed"}

// startServers starts the webhooks and has the API server send each the pods of its own namespace. The function it returns ends them,
// and is never nil.
func startServers(ctx context.Context, cp *controlplane.ControlPlane, dir string) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, one := range stops {
			one()
		}
	}
	root, err := tools.Root(ctx)
	if err != nil {
		return stop, err
	}
	bench := filepath.Join(dir, "bench")
	if _, err := tools.Run(ctx, nil, root, "go", "build", "-o", bench, "./test/suite/bench"); err != nil {
		return stop, err
	}
	ca, err := makeCertificate(dir)
	if err != nil {
		return stop, err
	}
	if err := cp.Client().Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}); err != nil {
		return stop, err
	}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(injectionPolicy), 0o600); err != nil {
		return stop, err
	}
	var configurations []client.Object
	for variant, server := range servers {
		ports, err := program.FreePorts(1)
		if err != nil {
			return stop, err
		}
		end, err := startServer(ctx, bench, server, dir, policy, ports[0])
		stops = append(stops, end)
		if err != nil {
			return stop, fmt.Errorf("starting %s: %w", server, err)
		}
		configurations = append(configurations, configuration(variant, ports[0], ca))
	}
	return stop, cp.RegisterWebhooks(ctx, configurations...)
}

// startServer starts a server, which ends with its input, and so with this process.
func startServer(ctx context.Context, bench, server, certs, policy string, port int) (stop func(), err error) {
	stop = func() {}
	cmd := exec.CommandContext(ctx, bench, "serve", server, certs, strconv.Itoa(port), policy)
	input, err := cmd.StdinPipe()
	if err != nil {
		return stop, err
	}
	if err := cmd.Start(); err != nil {
		return stop, err
	}
	stop = func() {
		_ = input.Close()
		_ = cmd.Wait()
	}
	return stop, poll.Until(ctx, "it listens", 20*time.Millisecond, time.Minute, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", program.Loopback(port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// service leads to the webhooks, as in a cluster: an API server speaks HTTP/1.1 with a webhook behind a Service, and HTTP/2 with one at
// localhost (k8s.io/apiserver, pkg/util/webhook/client.go).
var service = types.NamespacedName{Namespace: "default", Name: "creation"}

// makeCertificate writes the webhooks' certificate into a folder, and returns it.
func makeCertificate(dir string) ([]byte, error) {
	cert, key, err := certutil.GenerateSelfSignedCertKey(service.Name+"."+service.Namespace+".svc", nil, nil)
	if err != nil {
		return nil, err
	}
	return cert, errors.Join(os.WriteFile(filepath.Join(dir, "tls.crt"), cert, 0o600), os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600))
}

// configuration is our own, for the namespace of a variant.
func configuration(variant string, port int, ca []byte) *admissionv1.MutatingWebhookConfiguration {
	c := registration.Configuration(func(path string) admissionv1.WebhookClientConfig {
		return admissionv1.WebhookClientConfig{CABundle: ca, Service: &admissionv1.ServiceReference{
			Namespace: service.Namespace, Name: service.Name, Port: ptr.To(int32(port)), Path: &path,
		}}
	}, "dagger-inject")
	c.Name = "creation-" + variant
	for i := range c.Webhooks {
		selector := c.Webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: variantLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{variant}})
		c.Webhooks[i].TimeoutSeconds = ptr.To[int32](30) // a busy machine is no error here
		if variant == variantTyped {
			// It would add everything again.
			c.Webhooks[i].ReinvocationPolicy = ptr.To(admissionv1.NeverReinvocationPolicy)
		}
	}
	return c
}
