package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
		"transport":                          {"[engine.transport]", "{dagger.io/transport: tcp}", ReasonInjected, "tcp://e:1"},
		"transport, locked":                  {"[]", "{dagger.io/transport: tcp}", ReasonAnnotationInvalid, "does not let pods choose engine.transport"},
		"transport, unheard of":              {"[engine.transport]", "{dagger.io/transport: pigeon}", ReasonAnnotationInvalid, `"pigeon" is not accepted`},
		"no CLI":                             {"[cli.delivery]", "{dagger.io/cli: none}", ReasonInjected, `CLI:"none"`},
		"CLI, unheard of":                    {"[cli.delivery]", "{dagger.io/cli: floppy}", ReasonAnnotationInvalid, `"floppy" is not accepted`},
		"wait":                               {"[wait.enabled]", "{dagger.io/wait: 'true'}", ReasonAnnotationInvalid, "not supported yet"},
		"no wait":                            {"[wait.enabled]", "{dagger.io/wait: 'false'}", ReasonInjected, ""},
		"containers, locked":                 {"[profile]", "{dagger.io/containers: a}", ReasonAnnotationInvalid, "does not let pods choose containers.include"},
		"profile, locked":                    {"[containers.include]", "{dagger.io/policy: large}", ReasonAnnotationInvalid, "does not let pods choose profile"},
		"profile, unheard of":                {"[profile]", "{dagger.io/policy: huge}", ReasonAnnotationInvalid, `there is no profile "huge": known are policy`},
		"the default, by name":               {"[profile]", "{dagger.io/policy: policy}", ReasonInjected, ""},
		"a name that is a path":              {"[profile]", "{dagger.io/policy: ../policy}", ReasonAnnotationInvalid, "there is no profile"},
		"an annotation of ours that is none": {"[]", "{dagger.io/status: x}", ReasonInjected, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: "+c.annotations+"}, spec: {containers: [{name: a}]}}")
			in.Policies = layered(anyEngine+"cli: {image: i}\noverrides: {fromPods: "+c.overrides+"}", "")
			require.NoError(t, in.Policies.Err())
			plan := Decide(in)
			require.Equal(t, c.reason, plan.Reason, plan.Detail)
			seen := plan.Detail
			if plan.Status != nil {
				seen += plan.Status.Engine + ` CLI:"` + plan.Status.CLI + `"`
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
		"selected":                      {"{selector: {matchLabels: {ci: 'yes'}}}", byPod, map[string]string{"ci": "yes"}, ReasonInjected},
		"not selected":                  {"{selector: {matchLabels: {ci: 'yes'}}}", byPod, nil, ReasonNamespaceNotSelected},
		"not selected, though labelled": {"{selector: {matchLabels: {ci: 'yes'}}}", byNamespace, map[string]string{LabelInject: "true"}, ReasonNamespaceNotSelected},
		"by expression":                 {"{selector: {matchExpressions: [{key: ci, operator: Exists}]}}", byPod, map[string]string{"ci": ""}, ReasonInjected},
		"the pod's label is enough":     {"{podLabel: allow}", byPod, nil, ReasonInjected},
		"the pod's label is not enough": {"{podLabel: requireNamespaceLabel}", byPod, nil, ReasonNamespaceLabelRequired},
		"both labels":                   {"{podLabel: requireNamespaceLabel}", byPod, map[string]string{LabelInject: "true"}, ReasonInjected},
		"the namespace's alone":         {"{podLabel: requireNamespaceLabel}", byNamespace, map[string]string{LabelInject: "true"}, ReasonInjected},
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
	in.Policies = layered(anyEngine+"onError: admit\nenv: [{name: A, value: cluster}]\nscheduling: {nodeSelector: {a: b}}", "engine: {transport: tcp}\nenv: [{name: B, value: namespace}]\nscheduling: {nodeSelector: {c: d}}")
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
		"namespaces: {podLabel: allow}", "podSecurity: {default: privileged}", "overrides: {fromPods: [profile]}", "onError: admit",
	}, "\n"))
	err := p.Err()
	for _, field := range []string{
		"engine.discover.namespace", "engine.socket.hostPath", "engine.socket.group", "cli.image", "cli.path",
		"namespaces.podLabel", "podSecurity.default", "overrides.fromPods", "onError",
	} {
		require.ErrorContains(t, err, field+": locked")
	}
}
