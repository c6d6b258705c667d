package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	bySocket = "engine: {socket: {hostPath: /run/d}}\n"
	byTCP    = "engine: {tcp: {address: 'e:1'}}\n"
)

// waiting returns an Input for a pod, given the rest of its metadata and its spec, under a policy.
func waiting(t *testing.T, policy, metadata, spec string) Input {
	t.Helper()
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'"+metadata+"}, spec: "+spec+"}")
	in.Policies = policiesOf(t, policy)
	return in
}

const (
	noMetadata  = "}"
	oneJob      = "{containers: [{name: job}]}"
	waitAndCLI  = "cli: {image: 'registry.dagger.io/engine:v0.21.8'}\nwait: {image: w}\n"
	waitWithout = "cli: {delivery: none}\nwait: {image: w}\n"
)

func argument(t *testing.T, c *corev1.Container, flag string) string {
	t.Helper()
	for i, arg := range c.Args[:len(c.Args)-1] {
		if arg == flag {
			return c.Args[i+1]
		}
	}
	t.Fatalf("%s has no %s", c.Args, flag)
	return ""
}

func TestTheWaitStandsBeforeThePodsOwnInitContainers(t *testing.T) {
	in := waiting(t, bySocket+waitAndCLI, noMetadata, "{initContainers: [{name: own}], containers: [{name: job}]}")
	plan := Decide(in)
	require.Equal(t, "on", plan.Status.Wait)
	require.Equal(t, []string{"dagger-cli", "dagger-wait"}, plan.Status.InitContainers)
	var names []string
	pod := patched(t, in, plan)
	for _, c := range pod.Spec.InitContainers {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"dagger-cli", "dagger-wait", "own"}, names)
	wait := pod.Spec.InitContainers[1]
	require.Equal(t, []string{"/dagger-inject"}, wait.Command)
	require.Equal(t, "wait --host unix:///run/dagger/engine.sock --timeout 2m0s --on-timeout fail --expect-version v0.21.8",
		strings.Join(wait.Args, " "))
	require.Nil(t, wait.RestartPolicy, "a plain init container: legacy ARC's webhook drops the field")
}

func TestWhetherAPodWaits(t *testing.T) {
	cases := map[string]struct{ policy, spec, want string }{
		"no image":          {bySocket, oneJob, "off: no wait.image"},
		"off by the policy": {bySocket + "wait: {enabled: false, image: w}", oneJob, "off: wait.enabled"},
		"no CLI":            {bySocket + waitWithout, oneJob, "on"},
		"a CLI of its own": {bySocket + waitAndCLI,
			"{containers: [{name: job, volumeMounts: [{name: x, mountPath: /usr/local/bin/dagger}]}]}", "on"},
		"one of two wired by hand": {bySocket + waitAndCLI,
			"{containers: [{name: a}, {name: b, env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: x}]}]}", "on"},
		"another engine is used": {bySocket + waitAndCLI, "{containers: [{name: a, env: [{name: DAGGER_CLOUD_ENGINE, value: x}]}]}",
			"off: DAGGER_CLOUD_ENGINE chooses another engine"},
		"another engine is used too": {bySocket + waitAndCLI,
			"{containers: [{name: a, env: [{name: DAGGER_CLOUD_ENGINE, value: x}]}, {name: b}]}", "on"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := waiting(t, c.policy, noMetadata, c.spec)
			plan := Decide(in)
			require.Equal(t, DecisionInjected, plan.Decision, plan.Message())
			require.Equal(t, c.want, plan.Status.Wait)
			have := 0
			for _, container := range patched(t, in, plan).Spec.InitContainers {
				if container.Name == initContainerWait {
					have++
				}
			}
			require.Equal(t, c.want == "on", have == 1)
		})
	}
	plan := Decide(waiting(t, bySocket+waitAndCLI, noMetadata,
		"{containers: [{name: b, env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: x}]}]}"))
	require.Equal(t, ReasonAlreadyWired, plan.Reason)
	require.Empty(t, plan.Status.Wait, "nothing is injected: nothing waits")
}

func TestTheWaitUsesWhatTheTransportNeeds(t *testing.T) {
	cases := map[string]struct {
		engine, host, mount, env string
		ipv6                     bool
	}{
		"socket":         {engine: "{socket: {hostPath: /run/d, mountPath: /run/x}}", host: "unix:///run/x/engine.sock", mount: "/run/x"},
		"node-tcp":       {engine: "{nodeTCP: {port: 7}}", host: "tcp://$(DAGGER_NODE_IP):7", env: "DAGGER_NODE_IP"},
		"node-tcp, IPv6": {engine: "{nodeTCP: {port: 7}}", host: "tcp://[$(DAGGER_NODE_IP)]:7", env: "DAGGER_NODE_IP", ipv6: true},
		"tcp":            {engine: "{tcp: {address: 'e:1'}}", host: "tcp://e:1"},
		"tls": {engine: "{tls: {address: 'e:1', secretName: s, certFile: '', keyFile: ''}}",
			host: "tls://e:1?ca_path=%2Fetc%2Fdagger-inject%2Ftls%2Fca.crt", mount: "/etc/dagger-inject/tls"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := waiting(t, "engine: "+c.engine+"\n"+waitWithout, noMetadata, oneJob)
			in.Cluster.NodeIPv6 = c.ipv6
			pod := patched(t, in, Decide(in))
			wait := pod.Spec.InitContainers[0]
			require.Equal(t, c.host, argument(t, &wait, "--host"))
			mount, env := "", ""
			for _, m := range wait.VolumeMounts {
				require.True(t, m.ReadOnly)
				mount += m.MountPath
			}
			for _, e := range wait.Env {
				env += e.Name
			}
			require.Equal(t, c.mount, mount)
			require.Equal(t, c.env, env)
			require.Equal(t, pod.Spec.Containers[0].VolumeMounts, wait.VolumeMounts)
		})
	}
}

// TestTheWaitJudgesNoVersionThatIsNotKnown: a pair that works must never be refused.
func TestTheWaitJudgesNoVersionThatIsNotKnown(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for image, want := range map[string]string{
		"registry.dagger.io/engine:v0.18.3":              "v0.18.3",
		"registry.dagger.io/engine:v0.21.8" + digest:     "v0.21.8",
		"mirror.example.com:5000/dagger/engine:v1.0.0-b": "v1.0.0",
		"registry.dagger.io/engine:v1.0.0-beta.10":       "v1.0.0-beta.10",
		"registry.dagger.io/engine:v0.19.0-wolfi-gpu":    "v0.19.0",
		"registry.dagger.io/engine" + digest:             "any",
		"registry.dagger.io/engine:latest":               "any",
		"registry.dagger.io/engine:v0.21":                "any",
		"registry.dagger.io/engine:v0.021.8":             "any",
		"registry.dagger.io/engine:v0.21.8gpu":           "any",
		"example.com/our-engine:v2.0.0":                  "any",
	} {
		in := waiting(t, bySocket+"cli: {image: '"+image+"'}\nwait: {image: w}", noMetadata, oneJob)
		wait := patched(t, in, Decide(in)).Spec.InitContainers[1]
		require.Equal(t, want, argument(t, &wait, "--expect-version"), image)
	}
	in := waiting(t, bySocket+"cli: {image: 'registry.dagger.io/engine:v0.18.3', delivery: none}\nwait: {image: w}", noMetadata, oneJob)
	wait := patched(t, in, Decide(in)).Spec.InitContainers[0]
	require.Equal(t, "any", argument(t, &wait, "--expect-version"), "the pod has a CLI of its own")
}

func TestGitLabPodsWaitAMinuteAtMost(t *testing.T) {
	const gitlab = "}, annotations: {job.runner.gitlab.com/id: '1'}"
	for timeout, want := range map[string][2]string{
		"30s": {"30s", "on"}, "60s": {"1m0s", "on"}, "61s": {"1m0s", "on: 1m0s, the most for GitLab"},
	} {
		in := waiting(t, byTCP+"wait: {image: w, timeout: "+timeout+"}", gitlab, "{containers: [{name: build}]}")
		plan := Decide(in)
		require.Equal(t, want[1], plan.Status.Wait)
		require.NotContains(t, strings.Join(plan.Warnings, " "), "wait", "not with each job")
		pod := patched(t, in, plan)
		require.Equal(t, want[0], argument(t, &pod.Spec.InitContainers[0], "--timeout"))
	}
	in := waiting(t, byTCP+"wait: {image: w, timeout: 61s}", noMetadata, oneJob)
	pod := patched(t, in, Decide(in))
	require.Equal(t, "1m1s", argument(t, &pod.Spec.InitContainers[0], "--timeout"))
}

func TestThePullSecretIsAddedOnce(t *testing.T) {
	const policy = bySocket + "wait: {image: w, imagePullSecret: ours}"
	for own, want := range map[string]string{
		"[]": "ours", "null": "ours", "[{name: a}]": "a ours", "[{name: ours}, {name: a}]": "ours a", "[{}]": " ours",
	} {
		in := waiting(t, policy, noMetadata, "{imagePullSecrets: "+own+", containers: [{name: job}]}")
		var names []string
		for _, secret := range patched(t, in, Decide(in)).Spec.ImagePullSecrets {
			names = append(names, secret.Name)
		}
		require.Equal(t, want, strings.Join(names, " "), own)
	}
	in := waiting(t, bySocket+"wait: {enabled: false, image: w, imagePullSecret: ours}", noMetadata, oneJob)
	require.Empty(t, patched(t, in, Decide(in)).Spec.ImagePullSecrets, "nothing is pulled")
}

func TestTheWaitFitsItsNamespace(t *testing.T) {
	in := waiting(t, bySocket+waitWithout, noMetadata, "{containers: [{name: job, resources: {requests: {cpu: 1}}}]}")
	in.Namespace.Limits = ContainerLimits{
		Min: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m")},
		Max: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
	}
	wait := patched(t, in, Decide(in)).Spec.InitContainers[0]
	require.Equal(t, "200m", wait.Resources.Requests.Cpu().String())
	require.Equal(t, "32Mi", wait.Resources.Requests.Memory().String())
	require.Equal(t, "32Mi", wait.Resources.Limits.Memory().String())

	in.Namespace = Namespace{Annotations: map[string]string{annotationUIDRange: "1000/10"}}
	in.Policies = policiesOf(t, byTCP+waitWithout)
	wait = patched(t, in, Decide(in)).Spec.InitContainers[0]
	require.Nil(t, wait.SecurityContext.RunAsUser)
	require.Nil(t, wait.SecurityContext.SeccompProfile)

	in = waiting(t, bySocket+waitWithout, noMetadata, "{securityContext: {runAsUser: 1000}, containers: [{name: job}]}")
	pod := patched(t, in, Decide(in))
	require.Nil(t, pod.Spec.InitContainers[0].SecurityContext.RunAsUser, "the pod's decides")
	require.Equal(t, []int64{1001}, pod.Spec.SecurityContext.SupplementalGroups, "for the wait too")
}

func TestANameOfOursThatIsTakenIsAConflictOnlyForAWait(t *testing.T) {
	for _, spec := range []string{
		"{initContainers: [{name: dagger-wait}], containers: [{name: job}]}",
		"{initContainers: [{name: dagger-wait, command: [/dagger-inject], args: [lint]}], containers: [{name: job}]}",
		"{containers: [{name: job}, {name: dagger-wait}]}",
	} {
		plan := Decide(waiting(t, bySocket+waitAndCLI, noMetadata, spec))
		require.Equal(t, ReasonNameConflict, plan.Reason, spec)
		require.Empty(t, plan.Operations)
		plan = Decide(waiting(t, bySocket, noMetadata, spec))
		require.Equal(t, ReasonInjected, plan.Reason, spec)
		require.Equal(t, "off: no wait.image", plan.Status.Wait)
	}
}

func TestPoliciesShareWhatIsTheSame(t *testing.T) {
	like := policiesOf(t, bySocket+waitAndCLI)
	own := layered(bySocket+waitAndCLI, "wait: {timeout: 30s}")
	shared := like.With(own.namespace)
	require.NoError(t, shared.Err())
	require.NotSame(t, like.standard.engines[0].wait, shared.standard.engines[0].wait)
	require.Same(t, like.standard.engines[0].wait.container, shared.standard.engines[0].wait.container)
	same := like.With(layered(bySocket, "containers: {exclude: [x]}").namespace)
	require.Same(t, like.standard.engines[0], same.standard.engines[0])
	require.Same(t, like.standard.engines[0].cli, shared.standard.engines[0].cli)
	require.Same(t, like.standard.engines[0].socket, shared.standard.engines[0].socket)
}
