package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// replica is one of several processes of the program behind a balancer.
type replica struct {
	*program.Process
	address, probes string
}

func startReplica(t *testing.T, b *balancer, kubeconfig, certs string) *replica {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	free := ports(t, 2)
	r := &replica{address: program.Loopback(free[0]), probes: "http://" + program.Loopback(free[1])}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy, []byte(guidePolicy), 0o644))
	r.Process, err = program.Start(path, "webhook", "--kubeconfig", kubeconfig, "--policy", policy, "--bind-address", "127.0.0.1",
		"--port", strconv.Itoa(free[0]), "--cert-dir", certs, "--metrics-bind-address", "0",
		"--health-probe-bind-address", program.Loopback(free[1]), "--drain-quiet-period", "3s", "--log-level", "warn")
	require.NoError(t, err)
	b.follow(t, r.address, r.probes+"/readyz")
	return r
}

// creations creates pods one after another, from several clients, until it is told to stop.
type creations struct {
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	injected int
	failures []string
}

// createPods keeps creating pods in a namespace: those of the one kind ask by their own label, those of the other are asked
// for by the namespace's.
func createPods(t *testing.T, namespace string) *creations {
	t.Helper()
	client, err := admin()
	require.NoError(t, err)
	url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods", strings.TrimRight(shared.Config().Host, "/"), namespace)
	c := &creations{}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	for kind, labels := range map[string]map[string]string{"own": optedIn, "namespace": nil} {
		for n := range 2 {
			c.work.Go(func() {
				for i := 0; c.ctx.Err() == nil; i++ {
					c.note(postPod(client, url, runner(fmt.Sprintf("%s-%d-%d", kind, n, i), labels)))
				}
			})
		}
	}
	return c
}

// postPod creates a pod and says what is wrong with what came of it.
func postPod(client *http.Client, url string, pod []byte) error {
	response, err := client.Post(url, "application/json", bytes.NewReader(pod))
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusCreated:
		return fmt.Errorf("refused with %s: %s", response.Status, text)
	case !bytes.Contains(text, []byte(inject.EnvRunnerHost)):
		return fmt.Errorf("missed: %s", text)
	}
	return nil
}

func (c *creations) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.injected++
	} else {
		c.failures = append(c.failures, err.Error())
	}
}

func (c *creations) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.injected
}

// stop ends the creations and returns what was wrong with any of them.
func (c *creations) stop() []string {
	c.cancel()
	c.work.Wait()
	return c.failures
}

// reachedBy is how the API server reaches a balancer's port. It speaks HTTP/1.1 to Services, and HTTP/2 to addresses on its
// own machine.
func reachedBy(service types.NamespacedName, port int, ca []byte) map[string]func(path string) admissionregistrationv1.WebhookClientConfig {
	return map[string]func(path string) admissionregistrationv1.WebhookClientConfig{
		"http1": func(path string) admissionregistrationv1.WebhookClientConfig {
			return admissionregistrationv1.WebhookClientConfig{CABundle: ca, Service: &admissionregistrationv1.ServiceReference{
				Namespace: service.Namespace, Name: service.Name, Path: &path, Port: ptr.To(int32(port)),
			}}
		},
		"http2": clientConfig(port, ca),
	}
}

// TestARollingUpdateFailsNoPod replaces both replicas, one after the other, while pods are created all the time.
func TestARollingUpdateFailsNoPod(t *testing.T) {
	kubeconfig, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	for _, protocol := range []string{"http1", "http2"} {
		t.Run(protocol, func(t *testing.T) {
			ctx, namespace := t.Context(), "roll-"+protocol
			certs, service := t.TempDir(), types.NamespacedName{Namespace: namespace, Name: "webhook"}
			ca, keyPEM, err := certutil.GenerateSelfSignedCertKey("localhost", nil, []string{service.Name + "." + service.Namespace + ".svc"})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(certs, "tls.key"), keyPEM, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(certs, "tls.crt"), ca, 0o644))
			b := newBalancer(t)
			replicas := []*replica{startReplica(t, b, kubeconfig, certs), startReplica(t, b, kubeconfig, certs)}
			t.Cleanup(func() {
				for _, r := range replicas {
					require.NoError(t, r.Terminate())
				}
				for _, r := range replicas {
					require.NoError(t, r.Wait())
				}
			})
			waitRouted := func(r *replica) {
				require.Eventually(t, func() bool { return b.routes(r.address) }, patience, tick, "%s", r.Log())
			}
			waitRouted(replicas[0])
			waitRouted(replicas[1])
			require.NoError(t, shared.CreateNamespace(ctx, namespace, map[string]string{liveLabel: protocol, inject.LabelInject: "true"}, nil))
			require.NoError(t, shared.Client().Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name},
				Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
			}))
			configuration := registration.Configuration(reachedBy(service, b.port, ca)[protocol], releaseNamespace)
			configuration.Name += "-" + protocol
			for i := range configuration.Webhooks {
				selector := configuration.Webhooks[i].NamespaceSelector
				selector.MatchExpressions = append(selector.MatchExpressions,
					metav1.LabelSelectorRequirement{Key: liveLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{protocol}})
			}
			require.NoError(t, shared.RegisterWebhooks(ctx, configuration))
			t.Cleanup(func() { require.NoError(t, shared.DeleteWebhooks(context.WithoutCancel(ctx), configuration)) })

			pods := createPods(t, namespace)
			t.Cleanup(func() { _ = pods.stop() })
			// Enough for connections to both to be kept.
			require.Eventually(t, func() bool { return pods.count() > 100 }, patience, tick)
			for i, old := range replicas {
				replicas[i] = startReplica(t, b, kubeconfig, certs)
				waitRouted(replicas[i])
				require.NoError(t, old.Terminate())
				require.Eventually(t, func() bool {
					response, err := http.Get(old.probes + "/readyz?verbose")
					if err != nil {
						return false
					}
					text, _ := io.ReadAll(response.Body)
					return response.Body.Close() == nil && strings.Contains(string(text), "[-]shutdown failed")
				}, patience, tick, "while it serves on, it is not ready")
				require.NoError(t, old.Wait())
			}
			during := pods.count()
			require.Eventually(t, func() bool { return pods.count() > during+100 }, patience, tick)
			require.Empty(t, pods.stop())
			t.Logf("%d pods created and injected", pods.count())
		})
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	path, err := binary()
	require.NoError(t, err)
	certs, port := t.TempDir(), ports(t, 1)[0]
	process, err := program.Start(path, "webhook", "--standalone", "--port", strconv.Itoa(port), "--cert-dir", certs,
		"--drain-quiet-period", "1h", "--drain-timeout", "1h")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", program.Loopback(port), time.Second)
		return err == nil && conn.Close() == nil
	}, patience, tick)
	require.NoError(t, process.Terminate())
	require.Eventually(t, func() bool { return strings.Contains(process.Log(), "draining") }, patience, tick)
	s := &server{port: port, client: httpsClient(t, certs)}
	code, _ := s.post(t, review(t, "ci", string(runner("r", optedIn))))
	require.Equal(t, http.StatusOK, code, "it is still served")
	require.NoError(t, process.Terminate())
	require.ErrorContains(t, process.Wait(), "signal: terminated")
}

// TestAReplicaWaitsForWhatItNeeds starts one before its certificate is there and while the API server cannot be reached.
func TestAReplicaWaitsForWhatItNeeds(t *testing.T) {
	b, certs := newBalancer(t), filepath.Join(t.TempDir(), "certs")
	behind := rest.CopyConfig(shared.Config())
	behind.Host = "https://" + program.Loopback(b.port)
	kubeconfig, err := shared.Kubeconfig(behind)
	require.NoError(t, err)
	early := startReplica(t, newBalancer(t), kubeconfig, certs)
	r := startReplica(t, newBalancer(t), kubeconfig, certs)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	for _, waiting := range []*replica{early, r} {
		require.NoError(t, waiting.WaitReady(t.Context(), waiting.probes+"/healthz"), "nothing of this makes it be restarted")
		checks := get(t, waiting.probes+"/readyz?verbose")
		for _, name := range []string{"caches", "certificate", "listening"} {
			require.Contains(t, checks, "[-]"+name+" failed")
		}
		require.Contains(t, get(t, waiting.probes+"/readyz/certificate"), "tls.crt and tls.key")
	}
	require.NoError(t, early.Stop(), "it ends when asked to, all the same")

	b.route(strings.Trim(strings.TrimPrefix(shared.Config().Host, "https:"), "/"), true)
	require.Eventually(t, func() bool { return strings.Contains(get(t, r.probes+"/readyz?verbose"), "[+]caches ok") }, patience, tick, "%s",
		r.Log())
	_, err = webhook.EnsureCertificate(certs)
	require.NoError(t, err)
	require.NoError(t, r.WaitReady(t.Context(), r.probes+"/readyz"))
}
