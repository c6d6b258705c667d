package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const header = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"

func TestTheBuiltInPolicyFitsTheChartsDefaults(t *testing.T) {
	p := Default()
	require.Equal(t, "/run/dagger-dagger-dagger-helm", p.Engine.Socket.HostPath)
	require.EqualValues(t, 1001, p.Engine.Socket.Group)
	require.Equal(t, p.CLI.Resources.Requests, p.CLI.Resources.Limits)
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	p, err := Parse([]byte(header + "engine: {socket: {hostPath: /run/x, group: 0}}\ncontainers:\n"))
	require.NoError(t, err)
	require.Equal(t, Socket{HostPath: "/run/x", File: "engine.sock", MountPath: "/run/dagger", Group: 0,
		RuntimeClasses: []string{"nvidia", "nvidia-cdi", "nvidia-legacy"}}, p.Engine.Socket,
		"a key that is present is set, even to zero")
	require.Equal(t, TransportAuto, p.Engine.Transport)
	require.Equal(t, "/usr/local/bin/dagger", p.CLI.Path)
	require.Equal(t, OnErrorAuto, p.OnError)
	require.Equal(t, PodSecurityPrivileged, p.PodSecurity.Default)
}

func TestJSONIsAPolicyToo(t *testing.T) {
	p, err := Parse([]byte(`{"apiVersion":"inject.dagger.io/v1alpha1","kind":"InjectionPolicy","engine":{"tcp":{"address":"[fd00::1]:2555"}}}`))
	require.NoError(t, err)
	require.Equal(t, "[fd00::1]:2555", p.Engine.TCP.Address)
}

// TestRefusals has the messages that an operator reads: each names the field, the line, and what would be accepted.
func TestRefusals(t *testing.T) {
	cases := map[string]struct{ policy, want string }{
		"empty":         {"", "the policy is empty: it needs at least apiVersion: inject.dagger.io/v1alpha1"},
		"not YAML":      {"a: [", "not YAML: line 1"},
		"a list":        {"- a", "line 1: want a mapping with apiVersion and kind, got a list"},
		"two documents": {header + "---\n" + header, "more than one YAML document"},
		"another apiVersion": {"apiVersion: inject.dagger.io/v2\nkind: InjectionPolicy",
			`line 1: apiVersion: "inject.dagger.io/v2" is not accepted: accepted is inject.dagger.io/v1alpha1`},
		"no kind":       {"apiVersion: inject.dagger.io/v1alpha1", "kind: missing: accepted is InjectionPolicy"},
		"unknown field": {header + "engin: {}", "line 3: engin: unknown field: did you mean engine?"},
		"unknown field, far off": {header + "engine: {socket: {color: red}}",
			"line 3: engine.socket.color: unknown field: known here are file, group, hostPath, ignorePodSecurity, mountPath, runtimeClasses"},
		"twice":      {header + "onError: auto\nonError: admit", "line 4: onError: appears twice"},
		"wrong type": {header + "engine: {socket: {group: many}}", `engine.socket.group: want an integer of 64 bits, got "many"`},
		"number for a string": {header + "scheduling: {nodeSelector: {a: 1}}",
			`scheduling.nodeSelector.a: want a string, got 1 (int): quote it, as in "1"`},
		"yes is no boolean":       {header + "wait: {enabled: yes}", `wait.enabled: want true or false, got "yes"`},
		"mapping for a list":      {header + "env: {a: b}", "env: want a list, got a mapping"},
		"a key that is no string": {header + "1: a", "want a string as the key, got 1 (int)"},
		"an alias":                {header + "engine: &e {}\nscheduling: *e", "anchors and aliases are not accepted"},
		"bad quantity": {header + "cli: {image: i, resources: {limits: {memory: 64Mb}}}",
			`cli.resources.limits.memory: "64Mb" is not accepted: quantities must match`},
		"impossible quantity": {header + "cli: {image: i, resources: {limits: {memory: -1}}}",
			"cli.resources.limits.memory: want more than zero, got -1"},
		"unequal resources": {header + "cli: {image: i, resources: {limits: {cpu: 2}, requests: {cpu: 1}}}",
			"cli.resources.limits.cpu: must equal the request, 1"},
		"wait too short":        {header + "wait: {timeout: 999ms}", `wait.timeout: want auto, or a duration from 1s to 1h, got "999ms"`},
		"wait too long":         {header + "wait: {timeout: 61m}", `from 1s to 1h, got "61m"`},
		"wait set to no time":   {header + "wait: {timeout: }", `from 1s to 1h, got ""`},
		"wait's end unheard of": {header + "wait: {onTimeout: retry}", `wait.onTimeout: "retry" is not accepted: accepted is fail, continue`},
		"wait's image":          {header + "wait: {image: 'a b'}", `wait.image: want an image reference`},
		"wait's pull secret":    {header + "wait: {imagePullSecret: A_b}", "wait.imagePullSecret: a lowercase RFC 1123 subdomain"},
		"wait's unequal resources": {header + "wait: {resources: {requests: {cpu: 1}, limits: {cpu: 2}}}",
			"wait.resources.limits.cpu: must equal the request, 1"},
		"a socket's path in a URL": {header + "engine: {socket: {mountPath: '/run/a?b'}}",
			"engine.socket.mountPath: must not contain ?, #, % or $"},
		"bad duration": {header + "wait: {timeout: 2 minutes}", `wait.timeout: want auto, or a duration from 1s to 1h, got "2 minutes"`},
		"relative host path": {header + "engine: {socket: {hostPath: run/x}}",
			`engine.socket.hostPath: want an absolute path, got "run/x"`},
		"host path going up":      {header + "engine: {socket: {hostPath: /run/../etc}}", "engine.socket.hostPath: must not contain .."},
		"the whole host":          {header + "engine: {socket: {hostPath: /}}", "engine.socket.hostPath: want a plain path below /"},
		"mount path with a colon": {header + "engine: {socket: {mountPath: '/a:b'}}", "engine.socket.mountPath: must not contain a colon"},
		"file with a directory":   {header + "engine: {socket: {file: a/b}}", "engine.socket.file: want a file name"},
		"group out of range":      {header + "engine: {socket: {group: -1}}", "engine.socket.group: want a numeric group from 0"},
		"address without a port": {header + "engine: {tcp: {address: host}}",
			`engine.tcp.address: want host:port, as in dagger-engine.ci.svc:2555, got "host"`},
		"address with a bad port": {header + "engine: {tcp: {address: 'host:0'}}", "engine.tcp.address: want a port from 1 to 65535"},
		"address with a bad host": {header + "engine: {tcp: {address: 'a_b:1'}}", "engine.tcp.address: want a DNS name or an IP address"},
		"a transport unheard of":  {header + "engine: {transport: udp}", `"udp" is not accepted: accepted is auto, socket, node-tcp, tcp, tls`},
		"toleration without key": {header + "scheduling: {tolerations: [{value: x}]}",
			"scheduling.tolerations[0].operator: an empty key needs the operator Exists"},
		"toleration effect": {header + "scheduling: {tolerations: [{key: a, effect: Never}]}",
			"scheduling.tolerations[0].effect: \"Never\" is not accepted"},
		"an empty term": {header +
			"scheduling: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{}]}}}",
			"nodeSelectorTerms[0]: an empty term matches no node"},
		"operator without values": {header +
			"scheduling: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, " +
			"operator: In}]}]}}}", "matchExpressions[0].values: the operator In needs a value"},
		"weight": {header +
			"scheduling: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, preference: {matchExpressions: [{key: a, " +
			"operator: Exists}]}}]}}", "weight: want 1 to 100, got 101"},
		"a variable of ours": {header + "env: [{name: DAGGER_CLOUD_ENGINE, value: x}]",
			"env[0].name: DAGGER_CLOUD_ENGINE cannot be set here"},
		"a session's variable": {header + "env: [{name: DAGGER_SESSION_LATER, value: x}]",
			"env[0].name: DAGGER_SESSION_LATER cannot be set here: it belongs to a running session"},
		"an SELinux type": {header + "engine: {socket: {seLinuxOptions: {type: 'a b'}}}",
			`engine.socket.seLinuxOptions.type: want a name of letters, digits, underscores, dots and hyphens, as in spc_t, got "a b"`},
		"an SELinux level": {header + "engine: {socket: {seLinuxOptions: {level: 's0 c1'}}}",
			"engine.socket.seLinuxOptions.level: want an MLS or MCS level, as in s0 or s0:c123,c456"},
		"the image volume's place": {header + "engine: {socket: {mountPath: /opt/dagger}}\ncli: {delivery: image-volume}",
			`engine.socket.mountPath: "/opt/dagger" and the CLI's image volume, "/opt/dagger/bin", must lie apart`},
		"pods may choose it": {header + "engine: {socket: {mountPath: /opt/dagger/bin}}\noverrides: {fromPods: [cli.delivery]}",
			"must lie apart"},
		"a variable twice": {header + "env: [{name: A}, {name: A}]", `env[1].name: "A" is listed twice`},
		"value and valueFrom": {header + "env: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
			"env[0]: value and valueFrom exclude each other"},
		"a field that is none": {header + "env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.secret}}}]",
			"env[0].valueFrom.fieldRef.fieldPath"},
		"a source too few":       {header + "env: [{name: A, valueFrom: {}}]", "env[0].valueFrom: want exactly one"},
		"the CLI on the socket":  {header + "engine: {socket: {mountPath: /usr/local/bin/dagger}}", `must lie apart: both are mounted`},
		"the CLI in the socket":  {header + "cli: {path: /run/dagger/dagger}", `must lie apart: both are mounted`},
		"a runtime class's glob": {header + "engine: {socket: {runtimeClasses: ['kata-[']}}", "engine.socket.runtimeClasses[0]: want a"},
		"the spare folder": {header + "engine: {socket: {mountPath: /dagger-inject/run}}",
			"engine.socket.mountPath: must not begin with /dagger-inject"},
		"the CLI in it": {header + "cli: {path: /dagger-inject-1/dagger}", "cli.path: must not begin with /dagger-inject"},
		"a socket's name too long": {header + "engine: {socket: {file: " + strings.Repeat("x", 81) + "}}",
			"engine.socket.file: want at most 80 bytes"},
		"a socket path too long": {header + "engine: {socket: {mountPath: /" + strings.Repeat("x", 100) + "}}",
			"more than the 103 that a Unix socket"},
		"a control character":   {header + `cli: {path: "/a\nb"}`, "must not contain a colon or a control character"},
		"an image that is none": {header + "cli: {image: ':::BAD@'}", "cli.image: want an image reference"},
		"a signed port":         {header + "engine: {tcp: {address: 'a:+80'}}", "want a port from 1 to 65535"},
		"brackets around IPv4":  {header + "engine: {tcp: {address: '[10.0.0.1]:80'}}", "brackets are for IPv6 addresses only"},
		"a node name that is none": {header +
			"scheduling: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, " +
			"operator: In, values: ['NOT A NODE!']}]}]}}}", "matchFields[0].values[0]: a lowercase RFC 1123"},
		"another field version": {header + "env: [{name: A, valueFrom: {fieldRef: {apiVersion: v7, fieldPath: metadata.name}}}]",
			"fieldRef.apiVersion"},
		"a path of the certificates": {header + "cli: {path: /etc/dagger-inject/hook}", "must lie apart: both are mounted"},
		"a sidecar's image":          {header + "engine: {sidecar: {image: 'a b'}}", "engine.sidecar.image: want an image reference"},
		"a cache of nothing":         {header + "engine: {sidecar: {cacheVolume: {sizeLimit: 0}}}", "sizeLimit: want more than zero, got 0"},
		"a claim of less":            {header + "engine: {sidecar: {cacheVolume: {claimSize: -1}}}", "claimSize: want more than zero, got -1"},
		"a class without a claim":    {header + "engine: {sidecar: {cacheVolume: {storageClassName: fast}}}", "set claimSize too"},
		"a class of no name":         {header + "engine: {sidecar: {cacheVolume: {claimSize: 1, storageClassName: A_}}}", "a lowercase RFC 1123"},
		"a sidecar's unequal limits": {header + "engine: {sidecar: {resources: {requests: {cpu: 1}, limits: {cpu: 2}}}}",
			"must equal the request"},
		"cluster-only override": {header + "overrides: {fromNamespaces: [overrides.fromPods]}",
			`overrides.fromNamespaces[0]: "overrides.fromPods" belongs to the cluster's policy alone`},
		"override of no field":   {header + "overrides: {fromNamespaces: [engine.color]}", `"engine.color" is no field of a policy`},
		"a version that is none": {header + "engine: {discover: {version: 0.21}}", `engine.discover.version: want a string`},
		"a version without its v": {header + "engine: {discover: {version: '0.21'}}",
			`engine.discover.version: want a version, as in v0.21 or v0.21.8, or latest, got "0.21"`},
		"override of pods": {header + "overrides: {fromPods: [env]}",
			`overrides.fromPods[0]: "env" is not accepted: accepted is profile, containers.include, engine.discover.version, engine.transport, engine.sidecar, cli.delivery, wait.enabled`},
		"a namespace that is none": {header + "engine: {discover: {namespace: No_Such}}",
			"engine.discover.namespace: a lowercase RFC 1123 label"},
		"tls without an address": {header + "engine: {transport: tls}", `engine.tls.address: want host:port`},
		"half a key pair":        {header + "engine: {tls: {address: 'a:1', keyFile: ''}}", "certFile and keyFile go together"},
		"a Secret for nothing": {header + "engine: {tls: {address: 'a:1', secretName: s, caFile: '', certFile: '', keyFile: ''}}",
			"the Secret is not used"},
		"a file that is a path": {header + "engine: {tls: {address: 'a:1', secretName: s, caFile: ../ca}}", "engine.tls.caFile"},
		"half a token":          {header + "cloudToken: {secretName: a}", "cloudToken: secretName and key go together"},
		"a bad pattern":         {header + "containers: {include: ['[']}", "containers.include[0]: want a name or a pattern"},
		"onError":               {header + "onError: ignore", "line 3: onError: \"ignore\" is not accepted: accepted is auto, refuse, admit"},
		"a level unheard of":    {header + "podSecurity: {default: strict}", "podSecurity.default"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.policy))
			require.ErrorContains(t, err, c.want)
			require.IsType(t, Errors{}, err)
		})
	}
}

func TestEveryErrorIsReportedAtOnce(t *testing.T) {
	_, err := Parse([]byte(header + "engine:\n  sockets: {}\n  socket:\n    group: x\nonErr: a\n"))
	errs := err.(Errors)
	require.Len(t, errs, 3)
	require.Equal(t, []int{4, 6, 7}, []int{errs[0].Line, errs[1].Line, errs[2].Line})
}

func TestWhatIsAccepted(t *testing.T) {
	for _, policy := range []string{
		"wait: {enabled: true, timeout: 90s, onTimeout: continue}", "wait: {enabled: false}", "scheduling: {fromEngine: false}",
		"engine: {discover: {ownNamespace: true}}", "cli: {delivery: image-volume}", "engine: {socket: {mountPath: /opt/dagger}}",
		"engine: {socket: {seLinuxOptions: {type: container_logreader_t, level: 's0:c1,c1023'}}}",
	} {
		_, err := Parse([]byte(header + policy))
		require.NoError(t, err, policy)
	}
}

func TestSizesAreBounded(t *testing.T) {
	_, err := Parse([]byte(header + "# " + strings.Repeat("x", MaxSize)))
	require.ErrorContains(t, err, "more than the 65536 accepted")
	bomb := header + "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b]\n"
	_, err = Parse([]byte(bomb))
	require.Error(t, err)
	_, err = Parse([]byte(header + "a: " + strings.Repeat("[", 20000)))
	require.Error(t, err)
}

func TestAnEmptySectionSetsNothing(t *testing.T) {
	p, err := Parse([]byte(header + "engine:\ncli:\nscheduling:\n"))
	require.NoError(t, err)
	require.Equal(t, "engine.sock", p.Engine.Socket.File)
}

func TestImageReferences(t *testing.T) {
	for image, ok := range map[string]bool{
		"registry.dagger.io/engine:v0.21.8": true, "localhost:5000/a/b_c/d-e:1": true, "dagger": true,
		"a/b@sha256:" + strings.Repeat("a", 64):    true,
		"a/b:v1@sha256:" + strings.Repeat("a", 64): true, "Registry.example.com/engine": true,
		"a b": false, "a/B": false, "a:": false, "a@sha256:1": false, "/a": false,
	} {
		require.Equal(t, ok, imageReference.MatchString(image), image)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(defaultPolicy))
	f.Add(header + "scheduling: {tolerations: [{key: a}], nodeSelector: {a: b}}\nenv: [{name: A, valueFrom: {fieldRef: {fieldPath: " +
		"metadata.name}}}]")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse([]byte(text))
		require.Equal(t, err == nil, p != nil)
	})
}
