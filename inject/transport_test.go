package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

func TestTheMountThatCannotBeHidden(t *testing.T) {
	cases := []struct {
		mounts, wanted, want string
	}{
		{"[]", "/run/dagger", "/run/dagger"},
		{"[{mountPath: /run}]", "/run/dagger", "/run/dagger"},
		{"[{mountPath: /var/run}]", "/run/dagger", "/var/run/dagger"},
		{"[{mountPath: /var/run/}]", "/run/dagger", "/var/run/dagger"},
		{"[{mountPath: /run}, {mountPath: /var/run}]", "/run/dagger", "/var/run/dagger"},
		{"[{mountPath: /run}]", "/var/run/dagger", "/var/run/dagger"},
		{"[{mountPath: /var/run}]", "/var/run/dagger", "/var/run/dagger"},
		{"[{mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]", "/run/dagger", "/run/dagger"},
		{"[{mountPath: /var/run/ci}]", "/run/ci/dagger", "/var/run/ci/dagger"},
		{"[{mountPath: /var/runner}]", "/run/dagger", "/run/dagger"},
		{"[{mountPath: /}]", "/run/dagger", "/run/dagger"},
		{"[{mountPath: /var/./run//}]", "/run/dagger", "/var/run/dagger"},
	}
	for _, c := range cases {
		text, err := yaml.YAMLToJSON([]byte("{volumeMounts: " + c.mounts + "}"))
		require.NoError(t, err)
		var d rawjson.Document
		raw, err := d.Parse(string(text))
		require.NoError(t, err)
		require.Equal(t, c.want, unhidden(&container{raw: raw}, c.wanted), "%s with %s", c.wanted, c.mounts)
	}
}

func TestTransports(t *testing.T) {
	socket := "socket: {hostPath: /run/d}"
	tcp := "tcp: {address: 'e.ci.svc:2555'}"
	restricted := Namespace{Labels: map[string]string{labelEnforce: "restricted"}}
	openshift := Namespace{Annotations: map[string]string{annotationUIDRange: "1/1"}}
	cases := map[string]struct {
		engine    string
		extra     string
		namespace Namespace
		want      config.Transport
		reason    Reason
	}{
		"auto, both":                     {socket + ", " + tcp, "", Namespace{}, config.TransportSocket, ""},
		"auto, both, restricted":         {socket + ", " + tcp, "", restricted, config.TransportTCP, ""},
		"auto, both, OpenShift":          {socket + ", " + tcp, "", openshift, config.TransportTCP, ""},
		"auto, only TCP":                 {tcp, "", Namespace{}, config.TransportTCP, ""},
		"auto, only socket, restricted":  {socket, "", restricted, "", ReasonHostPathForbidden},
		"auto, nothing":                  {"", "", Namespace{}, "", ReasonNoEngine},
		"auto, nothing, restricted":      {"", "", restricted, "", ReasonNoEngine},
		"socket, both, restricted":       {"transport: socket, " + socket + ", " + tcp, "", restricted, "", ReasonHostPathForbidden},
		"tcp, both":                      {"transport: tcp, " + socket + ", " + tcp, "", Namespace{}, config.TransportTCP, ""},
		"auto, node-tcp, restricted":     {socket + ", nodeTCP: {port: 1234}, " + tcp, "", restricted, config.TransportNodeTCP, ""},
		"auto, node-tcp beside a socket": {socket + ", nodeTCP: {port: 1234}", "", Namespace{}, config.TransportSocket, ""},
		"auto, only TLS":                 {"tls: {address: 'e:443'}", "", restricted, config.TransportTLS, ""},
		"tls, all": {"transport: tls, tls: {address: 'e:443'}, " + socket + ", " + tcp, "", Namespace{},
			config.TransportTLS, ""},
		"node-tcp": {"transport: node-tcp, nodeTCP: {port: 1234}, " + socket, "", Namespace{},
			config.TransportNodeTCP, ""},
		"the label beats the policy's default": {socket, "podSecurity: {default: baseline}",
			Namespace{Labels: map[string]string{labelEnforce: "privileged"}}, config.TransportSocket, ""},
		"the policy's default":           {socket, "podSecurity: {default: baseline}", Namespace{}, "", ReasonHostPathForbidden},
		"Pod Security exempts":           {"socket: {hostPath: /run/d, ignorePodSecurity: true}", "", restricted, config.TransportSocket, ""},
		"an unknown level is restricted": {socket, "", Namespace{Labels: map[string]string{labelEnforce: "strict"}}, "", ReasonHostPathForbidden},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			policy := policiesOf(t, "engine: {"+c.engine+"}\n"+c.extra).standard
			d := &decision{in: &Input{Namespace: c.namespace}, plan: &Plan{}, pod: &pod{}, policy: policy,
				choices: choices{transport: policy.transport}}
			_, chosen, none := chooseEngine(d)
			if c.reason != "" {
				require.Equal(t, c.reason, none.reason)
				return
			}
			require.Nil(t, none)
			require.Equal(t, c.want, chosen.transport)
		})
	}
}

func TestTheInitContainersSecurityContext(t *testing.T) {
	uid := func(i int64) *int64 { return &i }
	yes := true
	cases := map[string]struct {
		securityContext string
		namespace       Namespace
		user            *int64
		nonRoot         *bool
		seccomp         bool
	}{
		"nothing said":        {"null", Namespace{}, uid(65532), &yes, true},
		"root":                {"{runAsUser: 0}", Namespace{}, uid(65532), &yes, true},
		"non-root":            {"{runAsNonRoot: true}", Namespace{}, uid(65532), &yes, true},
		"a user of the pod's": {"{runAsUser: 1000}", Namespace{}, nil, &yes, true},
		"OpenShift":           {"null", Namespace{Annotations: map[string]string{annotationUIDRange: "1000650000/10000"}}, nil, nil, false},
		"OpenShift with a user": {"{runAsUser: 1000}", Namespace{Annotations: map[string]string{annotationUIDRange: "1000650000/10000"}}, nil,
			nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], securityContext: "+
				c.securityContext+"}}")
			in.Namespace = c.namespace
			in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: i}")
			pod := patched(t, in, Decide(in))
			sc := pod.Spec.InitContainers[0].SecurityContext
			require.Equal(t, c.user, sc.RunAsUser)
			require.Equal(t, c.nonRoot, sc.RunAsNonRoot)
			require.Equal(t, c.seccomp, sc.SeccompProfile != nil)
			require.False(t, *sc.AllowPrivilegeEscalation)
			require.True(t, *sc.ReadOnlyRootFilesystem)
			require.Equal(t, []corev1.Capability{"ALL"}, sc.Capabilities.Drop)
		})
	}
}

func TestTheInitContainerComesFirstWithItsOwnResources(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a, resources: {limits: {cpu: 1, "+
		"ephemeral-storage: 2Gi}}}], initContainers: [{name: own, restartPolicy: Always}]}}")
	in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1', resources: {limits: {cpu: 200m, "+
		"ephemeral-storage: 1Gi}}}")
	pod := patched(t, in, Decide(in))
	require.Equal(t, "dagger-cli", pod.Spec.InitContainers[0].Name)
	require.Equal(t, "own", pod.Spec.InitContainers[1].Name)
	resources := pod.Spec.InitContainers[0].Resources
	require.Equal(t, "200m", resources.Requests.Cpu().String())
	require.NotContains(t, resources.Limits, corev1.ResourceCPU, "the container own has no limit")
	require.Equal(t, "64Mi", resources.Limits.Memory().String())
	require.Equal(t, "1Gi", resources.Limits.StorageEphemeral().String())
	require.Nil(t, pod.Spec.InitContainers[0].RestartPolicy, "never a long-running one: jobs would not end")
}

func TestNamesThatAreTaken(t *testing.T) {
	cases := map[string]string{
		"volume dagger-inject-socket": "containers: [{name: a}], volumes: [{name: dagger-inject-socket, emptyDir: {}}]",
		"volume dagger-inject-cli":    "containers: [{name: a}], volumes: [{name: dagger-inject-cli, configMap: {name: x}}]",
		"container dagger-cli":        "containers: [{name: a}, {name: dagger-cli}]",
		"init container dagger-cli":   "containers: [{name: a}], initContainers: [{name: dagger-cli, image: mine}]",
	}
	for want, spec := range cases {
		t.Run(want, func(t *testing.T) {
			plan := Decide(input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {"+spec+"}}"))
			require.Equal(t, ReasonNameConflict, plan.Reason)
			require.Contains(t, plan.Detail, want)
			require.Empty(t, plan.Operations)
		})
	}
}

const asking = "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a, env: [%s]}]}}"

func TestNodeTCPNamesTheNodeBeforeItIsUsed(t *testing.T) {
	for v6, host := range map[bool]string{false: "tcp://$(DAGGER_NODE_IP):1234", true: "tcp://[$(DAGGER_NODE_IP)]:1234"} {
		in := input(t, strings.Replace(asking, "%s", "{name: OWN, value: x}", 1))
		in.Policies, in.Cluster.NodeIPv6 = policiesOf(t, "engine: {transport: node-tcp, nodeTCP: {port: 1234}}"), v6
		pod := patched(t, in, Decide(in))
		require.Equal(t, []string{"OWN", "DAGGER_NODE_IP", EnvRunnerHost}, envNames(pod))
		require.Equal(t, "status.hostIP", pod.Spec.Containers[0].Env[1].ValueFrom.FieldRef.FieldPath)
		require.Equal(t, host, pod.Spec.Containers[0].Env[2].Value)
		require.Empty(t, pod.Spec.Volumes)
		require.Nil(t, pod.Spec.SecurityContext)
	}
	in := input(t, strings.Replace(asking, "%s", "{name: DAGGER_NODE_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}", 1))
	in.Policies = policiesOf(t, "engine: {nodeTCP: {port: 1234}}")
	require.Equal(t, []string{"DAGGER_NODE_IP", EnvRunnerHost}, envNames(patched(t, in, Decide(in))), "the same is used")

	in = input(t, strings.Replace(asking, "%s", "{name: DAGGER_NODE_IP, value: 10.0.0.1}", 1))
	in.Policies = policiesOf(t, "engine: {nodeTCP: {port: 1234}}")
	plan := Decide(in)
	require.Equal(t, ReasonAlreadyWired, plan.Reason)
	require.Contains(t, plan.Status.Left[0].Because, "sets DAGGER_NODE_IP to something else")
}

func envNames(pod *corev1.Pod) []string {
	var names []string
	for _, e := range pod.Spec.Containers[0].Env {
		names = append(names, e.Name)
	}
	return names
}

func TestTLSMountsTheSecretAndNamesItsFiles(t *testing.T) {
	cases := map[string]struct {
		tls, host string
		volume    bool
	}{
		"cert-manager's names": {"{address: 'e.ci.svc:443', secretName: s}",
			"tls://e.ci.svc:443?ca_path=%2Fetc%2Fdagger-inject%2Ftls%2Fca.crt" +
				"&cert_path=%2Fetc%2Fdagger-inject%2Ftls%2Ftls.crt&key_path=%2Fetc%2Fdagger-inject%2Ftls%2Ftls.key", true},
		"a CA only": {"{address: 'e:443', secretName: s, caFile: root.pem, certFile: '', keyFile: ''}",
			"tls://e:443?ca_path=%2Fetc%2Fdagger-inject%2Ftls%2Froot.pem", true},
		"a public engine": {"{address: 'e:443'}", "tls://e:443", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, strings.Replace(asking, "%s", "", 1))
			in.Namespace.Labels = map[string]string{labelEnforce: "restricted"}
			in.Policies = policiesOf(t, "engine: {transport: tls, tls: "+c.tls+"}")
			pod := patched(t, in, Decide(in))
			require.Equal(t, c.host, pod.Spec.Containers[0].Env[0].Value)
			if !c.volume {
				require.Empty(t, pod.Spec.Volumes)
				return
			}
			require.Equal(t, "s", pod.Spec.Volumes[0].Secret.SecretName)
			require.Equal(t, corev1.VolumeMount{Name: "dagger-inject-tls", MountPath: "/etc/dagger-inject/tls", ReadOnly: true},
				pod.Spec.Containers[0].VolumeMounts[0])
		})
	}
}
