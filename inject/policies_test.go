package inject

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
)

// layered compiles a cluster's document and a namespace's, "" for none.
func layered(cluster, namespace string) *Policies {
	var own *config.Documents
	if namespace != "" {
		own = config.FromFile("namespace", []byte(header+namespace), config.OriginNamespace)
	}
	return NewPolicies(config.FromFile("cluster", []byte(header+cluster), config.OriginCluster), own, nil)
}

const anyEngine = "engine: {socket: {hostPath: /run/d}, tcp: {address: 'e:1'}}\n"

func TestWhatAPodMayChoose(t *testing.T) {
	cases := map[string]struct {
		overrides, annotations string
		reason                 Reason
		want                   string
	}{
		"transport": {"[engine.transport]", "{dagger.io/transport: tcp}", ReasonInjected, "tcp://e:1"},
		"transport, locked": {"[]", "{dagger.io/transport: tcp}", ReasonAnnotationInvalid,
			"does not let pods choose engine.transport"},
		"transport, unheard of": {"[engine.transport]", "{dagger.io/transport: pigeon}", ReasonAnnotationInvalid,
			`"pigeon" is not accepted`},
		"no CLI":          {"[cli.delivery]", "{dagger.io/cli: none}", ReasonInjected, `CLI:"none"`},
		"CLI, unheard of": {"[cli.delivery]", "{dagger.io/cli: floppy}", ReasonAnnotationInvalid, `"floppy" is not accepted`},
		"wait":            {"[wait.enabled]", "{dagger.io/wait: 'true'}", ReasonInjected, "wait:on"},
		"no wait":         {"[wait.enabled]", "{dagger.io/wait: 'false'}", ReasonInjected, "wait:off: dagger.io/wait"},
		"wait, unheard of": {"[wait.enabled]", "{dagger.io/wait: 'yes'}", ReasonAnnotationInvalid,
			`"yes" is not accepted: accepted is true, false`},
		"wait, locked": {"[profile]", "{dagger.io/wait: 'true'}", ReasonAnnotationInvalid,
			"does not let pods choose wait.enabled"},
		"containers, locked": {"[profile]", "{dagger.io/containers: a}", ReasonAnnotationInvalid,
			"does not let pods choose containers.include"},
		"profile, locked": {"[containers.include]", "{dagger.io/policy: large}", ReasonAnnotationInvalid,
			"does not let pods choose profile"},
		"profile, unheard of": {"[profile]", "{dagger.io/policy: huge}", ReasonAnnotationInvalid,
			`there is no profile "huge": known are policy`},
		"the default, by name":               {"[profile]", "{dagger.io/policy: policy}", ReasonInjected, ""},
		"a name that is a path":              {"[profile]", "{dagger.io/policy: ../policy}", ReasonAnnotationInvalid, "there is no profile"},
		"an annotation of ours that is none": {"[]", "{dagger.io/status: x}", ReasonInjected, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: "+c.annotations+"}, spec: {containers: [{name: a}]}}")
			enabled := strconv.FormatBool(name != "wait") // each annotation changes something
			in.Policies = layered(anyEngine+"cli: {image: i}\nwait: {enabled: "+enabled+", image: w}\noverrides: {fromPods: "+c.overrides+"}", "")
			require.NoError(t, in.Policies.Err())
			plan := Decide(in)
			require.Equal(t, c.reason, plan.Reason, plan.Detail)
			seen := plan.Detail
			if plan.Status != nil {
				seen += plan.Status.Engine + ` CLI:"` + plan.Status.CLI + `" wait:` + plan.Status.Wait
			}
			require.Contains(t, seen, c.want)
			if c.reason == ReasonAnnotationInvalid {
				require.Empty(t, plan.Operations)
				require.Equal(t, DecisionRefused, plan.Decision)
			}
		})
	}
}

func TestWhereInjectionMayHappen(t *testing.T) {
	const byPod = "{metadata: {labels: {dagger.io/inject: 'true', actions-ephemeral-runner: x}}, spec: {containers: [{name: runner}]}}"
	const byNamespace = "{metadata: {labels: {actions-ephemeral-runner: x}}, spec: {containers: [{name: runner}]}}"
	cases := map[string]struct {
		namespaces, pod string
		labels          map[string]string
		want            Reason
	}{
		"selected":     {"{selector: {matchLabels: {ci: 'yes'}}}", byPod, map[string]string{"ci": "yes"}, ReasonInjected},
		"not selected": {"{selector: {matchLabels: {ci: 'yes'}}}", byPod, nil, ReasonNamespaceNotSelected},
		"not selected, though labelled": {"{selector: {matchLabels: {ci: 'yes'}}}", byNamespace, map[string]string{LabelInject: "true"},
			ReasonNamespaceNotSelected},
		"by expression": {"{selector: {matchExpressions: [{key: ci, operator: Exists}]}}", byPod, map[string]string{"ci": ""},
			ReasonInjected},
		"the pod's label is enough":     {"{podLabel: allow}", byPod, nil, ReasonInjected},
		"the pod's label is not enough": {"{podLabel: requireNamespaceLabel}", byPod, nil, ReasonNamespaceLabelRequired},
		"both labels":                   {"{podLabel: requireNamespaceLabel}", byPod, map[string]string{LabelInject: "true"}, ReasonInjected},
		"the namespace's alone": {"{podLabel: requireNamespaceLabel}", byNamespace, map[string]string{LabelInject: "true"},
			ReasonInjected},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, c.pod)
			in.Namespace.Labels = c.labels
			in.Policies = layered(anyEngine+"namespaces: "+c.namespaces, "")
			plan := Decide(in)
			require.Equal(t, c.want, plan.Reason, plan.Detail)
			if c.want.Class() == ClassDoesNotApply {
				require.Equal(t, DecisionSkipped, plan.Decision)
				require.Equal(t, c.pod == byPod, len(plan.Warnings) == 1, "whoever set the pod's label is told")
			}
		})
	}
}

func TestLayers(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}")
	in.Policies = layered(anyEngine+"onError: admit\nenv: [{name: A, value: cluster}]\nscheduling: {nodeSelector: {a: b}}",
		"engine: {transport: tcp}\nenv: [{name: B, value: namespace}]\nscheduling: {nodeSelector: {c: d}}")
	pod := patched(t, in, Decide(in))
	require.Len(t, pod.Spec.Containers[0].Env, 2, "a list replaces")
	require.Equal(t, "B", pod.Spec.Containers[0].Env[1].Name)
	require.Equal(t, map[string]string{"c": "d"}, pod.Spec.NodeSelector, "so does a map")

	in.Policies = layered(anyEngine+"onError: admit", "onError: refuse")
	plan := Decide(in)
	require.Equal(t, ReasonPolicyInvalid, plan.Reason)
	require.Equal(t, DecisionAdmitted, plan.Decision, "a bad policy of a namespace follows the cluster's onError")
	require.Contains(t, plan.Detail, "namespace: line 3: onError: locked")

	in.Policies = layered("onErr: admit", "env: []")
	require.Equal(t, DecisionRefused, Decide(in).Decision, "a bad policy of the cluster's follows auto")
}

func TestLockedFieldsAreNamedOneByOne(t *testing.T) {
	p := layered(anyEngine, strings.Join([]string{
		"engine: {discover: {namespace: x}, socket: {hostPath: /etc, group: 0}}", "cli: {image: evil, path: /bin/sh}",
		"wait: {image: evil, imagePullSecret: a, resources: {limits: {cpu: 1}}}",
		"namespaces: {podLabel: allow}", "podSecurity: {default: privileged}", "overrides: {fromPods: [profile]}", "onError: admit",
	}, "\n"))
	said := ""
	for _, problem := range p.Problems() {
		said += problem.Error() + "\n"
	}
	for _, field := range []string{
		"engine.discover.namespace", "engine.socket.hostPath", "engine.socket.group", "cli.image", "cli.path", "wait.image",
		"wait.imagePullSecret", "wait.resources",
		"namespaces.podLabel", "podSecurity.default", "overrides.fromPods", "onError",
	} {
		require.Contains(t, said, field+": locked")
	}
}

func TestWhatOnlyTheLayersTogetherGetWrongIsTheNamespacesProblem(t *testing.T) {
	cases := map[string]struct{ cluster, namespace, want string }{
		"an address for tls": {"engine: {tls: {secretName: x}}", "engine: {transport: tls}", "engine.tls.address: want host:port"},
		"half a key pair": {"engine: {tls: {address: 'a:1', secretName: x}}", "engine: {tls: {keyFile: ''}}",
			"certFile and keyFile go together"},
	}
	for name, c := range cases {
		p := layered(c.cluster, c.namespace)
		require.Error(t, p.Err(), name)
		require.Len(t, p.Problems(), 1, name)
		require.Contains(t, p.Problems()[0].Error(), c.want)
	}
	p := layered("engine: {transport: bogus}", "engine: {transport: socket}")
	require.ErrorContains(t, p.Err(), `cluster: line 3: engine.transport: "bogus" is not accepted`, "a namespace covers nothing up")
	require.Empty(t, p.Problems(), "it is not the namespace's to mend")
}

func TestRulesForNamespacesComeBeforeWhatCannotBe(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {dagger.io/policy: nope}}, spec: {containers: [{name: a}]}}")
	in.Policies = layered(anyEngine+"namespaces: {selector: {matchLabels: {ci: 'yes'}}}", "")
	require.Equal(t, ReasonNamespaceNotSelected, Decide(in).Reason)
	in.Policies = layered(anyEngine+"namespaces: {selector: {matchLabels: {ci: 'yes'}}}", "nonsense: 1")
	require.Equal(t, ReasonNamespaceNotSelected, Decide(in).Reason)
}

func TestANewersOverridesAreIgnoredToo(t *testing.T) {
	cm := &corev1.ConfigMap{Data: map[string]string{"policy.yaml": header + anyEngine +
		"new: 1\noverrides: {fromNamespaces: [engine.tcp, engine.newThing], fromPods: [profile, newThing]}\n", "large.yaml": header}}
	cm.Annotations = map[string]string{config.AnnotationSchemaRevision: "99"}
	p := NewPolicies(config.FromConfigMap(cm, config.OriginCluster), nil, nil)
	require.NoError(t, p.Err())
	require.Len(t, p.Ignored(), 3, "each counts once, however many profiles there are")
	require.True(t, p.standard.podMaySet(config.FieldProfile))
}

func TestErrorsAreFewAndShort(t *testing.T) {
	p := layered(anyEngine, strings.Repeat("a:\n", 20000))
	require.LessOrEqual(t, len(p.Problems()), 51)
	require.Less(t, len(p.Err().Error()), 4096)
	p = layered(anyEngine, strings.Repeat("k", 60000)+": 1")
	require.Less(t, len(p.Err().Error()), 4096)
}
