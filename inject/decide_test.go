package inject

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// input makes an Input from a pod written as YAML.
func input(t *testing.T, pod string) Input {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict([]byte(pod))
	require.NoError(t, err)
	var d rawjson.Document
	root, err := d.Parse(string(text))
	require.NoError(t, err)
	return Input{
		Pod:       root,
		Namespace: Namespace{Name: "ci"},
		Policies:  NewPolicies(config.BuiltIn(), nil, nil),
		Version:   "test",
	}
}

// patched applies a plan to its pod and decodes it.
func patched(t *testing.T, in Input, plan *Plan) *corev1.Pod {
	t.Helper()
	text, err := patch.Apply([]byte(in.Pod.Text()), plan.Operations)
	require.NoError(t, err)
	var pod corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict(text, &pod))
	return &pod
}

const header = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"

func policiesOf(t *testing.T, text string) *Policies {
	t.Helper()
	p := NewPolicies(config.FromFile("test", []byte(header+text), config.OriginCluster), nil, nil)
	require.NoError(t, p.Err())
	return p
}

func TestOptInPrecedence(t *testing.T) {
	const runner = "{metadata: {labels: {actions-ephemeral-runner: 'True'%s}}, spec: {containers: [{name: runner}]}}"
	label := func(value string) string { return strings.Replace(runner, "%s", ", dagger.io/inject: '"+value+"'", 1) }
	bare := strings.Replace(runner, "%s", "", 1)
	cases := map[string]struct {
		pod, namespace string
		entry          Entry
		want           Reason
	}{
		"pod false, namespace true":           {label("false"), "true", "", ReasonOptedOut},
		"pod false":                           {label("false"), "", "", ReasonOptedOut},
		"pod true, namespace false":           {label("true"), "false", "", ReasonInjected},
		"pod true":                            {label("true"), "", "", ReasonInjected},
		"namespace true":                      {bare, "true", "", ReasonInjected},
		"namespace false":                     {bare, "false", "", ReasonNotRequested},
		"nobody":                              {bare, "", "", ReasonNotRequested},
		"namespace of another value":          {bare, "yes", "", ReasonNotRequested},
		"pod of another value":                {label("True"), "true", "", ReasonUnknownLabelValue},
		"pod empty":                           {label(""), "true", "", ReasonUnknownLabelValue},
		"the namespace's entry proves it":     {bare, "", EntryNamespace, ReasonInjected},
		"the namespace's entry, pod says no":  {label("false"), "", EntryNamespace, ReasonOptedOut},
		"the pod's entry proves no namespace": {bare, "", EntryPod, ReasonNotRequested},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, c.pod)
			in.Entry = c.entry
			if c.namespace != "" {
				in.Namespace.Labels = map[string]string{LabelInject: c.namespace}
			}
			plan := Decide(in)
			require.Equal(t, c.want, plan.Reason)
			if c.want == ReasonUnknownLabelValue {
				require.Len(t, plan.Warnings, 1, "whoever wrote the value is told")
			}
		})
	}
}

func TestOnErrorDecidesWhatBecomesOfAPodThatCannot(t *testing.T) {
	const byPod = "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}"
	const byNamespace = "{metadata: {labels: {actions-ephemeral-runner: 'True'}}, spec: {containers: [{name: runner}]}}"
	cases := map[string]struct {
		pod, onError string
		want         Decision
	}{
		"auto, pod":         {byPod, "auto", DecisionRefused},
		"auto, namespace":   {byNamespace, "auto", DecisionAdmitted},
		"refuse, namespace": {byNamespace, "refuse", DecisionRefused},
		"admit, pod":        {byPod, "admit", DecisionAdmitted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, c.pod)
			in.Namespace.Labels = map[string]string{LabelInject: "true"}
			in.Policies = policiesOf(t, "onError: "+c.onError)
			plan := Decide(in)
			require.Equal(t, c.want, plan.Decision)
			require.Equal(t, ReasonNoEngine, plan.Reason)
			require.Zero(t, plan.RetryAfterSeconds)
			require.Equal(t, c.want == DecisionAdmitted, len(plan.Warnings) == 1)
		})
	}
}

func TestAnInvalidPolicyIsNeverReplaced(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {job.runner.gitlab.com/id: '1'}}, spec: {containers: "+
		"[{name: build}]}}")
	in.Policies = NewPolicies(config.FromFile("ConfigMap ci/dagger-inject-policy", []byte("nonsense: 1"), config.OriginCluster), nil, nil)
	plan := Decide(in)
	require.Equal(t, DecisionRefused, plan.Decision)
	require.Equal(t, ReasonPolicyInvalid, plan.Reason)
	require.Contains(t, plan.Message(), "ConfigMap ci/dagger-inject-policy, key policy.yaml: line 1: nonsense: unknown field")
	require.EqualValues(t, 5, plan.RetryAfterSeconds, "GitLab's executor would fail the job at once")
}

func TestWrongTypesAreNamed(t *testing.T) {
	cases := map[string]string{
		"{metadata: {labels: []}, spec: {}}":                       "metadata.labels: want an object, got a list",
		"{metadata: {labels: {a: 1}}, spec: {}}":                   `metadata.labels.a: want a string, got a number`,
		"{metadata: {name: {}}, spec: {}}":                         "metadata.name: want a string",
		"{metadata: 1, spec: {}}":                                  "metadata: want an object, got a number",
		"{spec: []}":                                               "spec: want an object, got a list",
		"{metadata: {}}":                                           "spec: missing",
		"{spec: {containers: {}}}":                                 "spec.containers: want a list, got an object",
		"{spec: {containers: [null]}}":                             "spec.containers[0]: want an object, got null",
		"{spec: {containers: [{name: a}, {name: 1}]}}":             "spec.containers[1].name: want a string",
		"{spec: {initContainers: [{env: [{name: []}]}]}}":          "spec.initContainers[0].env[0].name: want a string",
		"{spec: {containers: [{volumeMounts: [{mountPath: 1}]}]}}": "spec.containers[0].volumeMounts[0].mountPath",
		"{spec: {containers: [{securityContext: x}]}}":             "spec.containers[0].securityContext",
		"{spec: {volumes: [1]}}":                                   "spec.volumes[0]: want an object",
		"{spec: {tolerations: [[]]}}":                              "spec.tolerations[0]: want an object",
		"{spec: {affinity: []}}":                                   "spec.affinity: want an object",
		"{spec: {nodeSelector: {a: 1}}}":                           "spec.nodeSelector.a: want a string",
		"{metadata: {ownerReferences: [{kind: 1}]}, spec: {}}":     "metadata.ownerReferences[0].kind",
		"{metadata: {annotations: {'a/b': []}}, spec: {}}":         `metadata.annotations["a/b"]: want a string`,
		"{spec: {securityContext: {supplementalGroups: x}}, metadata: {labels: {dagger.io/inject: 'true'}}}": "want a list, got a string",
	}
	for pod, want := range cases {
		t.Run(want, func(t *testing.T) {
			if strings.Contains(pod, "supplementalGroups") {
				pod = strings.Replace(pod, "spec: {", "spec: {containers: [{name: a}], ", 1)
			}
			plan := Decide(input(t, pod))
			require.Equal(t, DecisionError, plan.Decision, plan.Reason)
			require.Equal(t, ReasonBadRequest, plan.Reason)
			require.Contains(t, plan.Detail, want)
			require.Empty(t, plan.Operations)
		})
	}
}

func TestUserValuesWin(t *testing.T) {
	in := input(t, `
metadata:
  labels: {dagger.io/inject: "true"}
  annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes: mine, dagger.io/status: forged}
spec:
  containers:
  - name: own-host
    env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: tcp://mine:1}]
  - name: own-mount
    volumeMounts: [{name: mine, mountPath: /var/run/dagger/}]
  - name: own-cli-bin
    env: [{name: _EXPERIMENTAL_DAGGER_CLI_BIN, value: /opt/dagger}, {name: EXTRA, value: mine}]
  volumes: [{name: mine, hostPath: {path: /run/other}}]
`)
	in.Policies = policiesOf(t, `
engine: {socket: {hostPath: /run/dagger-dagger-dagger-helm}}
cli: {image: registry.dagger.io/engine:v0.21.8}
env: [{name: EXTRA, value: ours}, {name: MORE, value: ours}]
`)
	plan := Decide(in)
	require.Equal(t, DecisionInjected, plan.Decision)
	pod := patched(t, in, plan)
	require.Len(t, pod.Spec.Containers[0].Env, 1, "left as it is")
	require.Empty(t, pod.Spec.Containers[0].VolumeMounts)
	require.Empty(t, pod.Spec.Containers[1].Env)
	require.Equal(t, []corev1.EnvVar{
		{Name: "_EXPERIMENTAL_DAGGER_CLI_BIN", Value: "/opt/dagger"}, {Name: "EXTRA", Value: "mine"},
		{Name: "_EXPERIMENTAL_DAGGER_RUNNER_HOST", Value: "unix:///run/dagger/engine.sock"}, {Name: "MORE", Value: "ours"},
	}, pod.Spec.Containers[2].Env)
	require.Equal(t, "mine", pod.Annotations[AnnotationSafeToEvict])
	require.Contains(t, pod.Annotations[AnnotationStatus], `"containers":["own-cli-bin"]`, "a forged status is replaced")
	require.Equal(t, []LeftContainer{
		{"own-host", "sets _EXPERIMENTAL_DAGGER_RUNNER_HOST itself"},
		{"own-mount", "mounts a hostPath volume at /run/dagger"},
	}, plan.Status.Left)
}

func TestAContainerThatALaterWebhookAddsIsPickedUp(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}")
	once := patched(t, in, Decide(in))
	once.Spec.Containers = append(once.Spec.Containers, corev1.Container{Name: "late"})
	text, err := yaml.Marshal(once)
	require.NoError(t, err)
	in = input(t, string(text))
	plan := Decide(in)
	require.Equal(t, ReasonInjected, plan.Reason)
	twice := patched(t, in, plan)
	require.Equal(t, once.Spec.Containers[0], twice.Spec.Containers[0])
	require.Len(t, twice.Spec.Containers[1].VolumeMounts, 2)
	require.Len(t, twice.Spec.InitContainers, 1)
	require.Len(t, twice.Spec.Volumes, 2)
}

func TestAMountThatALaterWebhookAddsDoesNotUndoOurs(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}")
	once := patched(t, in, Decide(in))
	once.Spec.Containers[0].VolumeMounts = append(once.Spec.Containers[0].VolumeMounts,
		corev1.VolumeMount{Name: "late", MountPath: "/var/run"})
	text, err := yaml.Marshal(once)
	require.NoError(t, err)
	require.Equal(t, ReasonAlreadyInjected, Decide(input(t, string(text))).Reason)
}

func TestSmallRequestsDoNotMakeLargeAnswers(t *testing.T) {
	pod := "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [" + strings.Repeat("{}, ", 300) + "{}]}}"
	plan := Decide(input(t, pod))
	require.Equal(t, ReasonPodTooLarge, plan.Reason)
	require.Empty(t, plan.Operations)
}

func TestAPodFullOfAnnotationsGetsNoMore(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {a: '"+strings.Repeat("x", 255<<10)+
		"'}}, spec: {containers: [{name: a}]}}")
	plan := Decide(in)
	require.Equal(t, DecisionInjected, plan.Decision)
	require.Len(t, patched(t, in, plan).Annotations, 1)
}

func TestTheStatusIsWhatEncodingJSONMakesOfIt(t *testing.T) {
	full := Status{
		Version: `v"1`, Policy: PolicyStatus{Source: "é\\", Hash: "h"}, Transport: "socket", Engine: "unix://x", EngineImage: "j", CLI: "none",
		CLIBecause: "old",
		CLIImage:   "i", CLIStorage: "s", Wait: "on",
		Containers: []string{"a", "b"}, Left: []LeftContainer{{"c", "d"}}, Moved: []MovedMount{{"m", "n", "o"}}, InitContainers: []string{"e"},
		Volumes:  []string{"f", "g"},
		ReadFrom: "DaemonSet a/b", SELinux: "type=t", HookTemplate: "k",
		CacheAffinity: &CacheAffinityStatus{Key: "l", Nodes: 2, Set: "p"}, NotCopied: []string{"h"},
	}
	fields := reflect.TypeFor[Status]()
	for i := range fields.NumField() {
		require.False(t, reflect.ValueOf(full).Field(i).IsZero(), "%s is not compared", fields.Field(i).Name)
	}
	for _, s := range []Status{full, {}} {
		require.JSONEq(t, string(mustMarshal(s)), string(s.appendJSON(nil)))
		require.Equal(t, len(mustMarshal(s)), len(s.appendJSON(nil)))
	}
}
