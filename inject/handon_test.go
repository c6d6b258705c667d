package inject

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// requireHookAccepts restates what the container hooks do with a template (actions/runner-container-hooks, packages/k8s/src/k8s/utils.ts,
// readExtensionFromFile and mergeObjectMeta, v0.4.0 to v0.8.1): the file must parse to an object that is not empty, labels and
// annotations are strings that are merged key by key, and a spec, where there is one, must be an object whose lists are lists.
func requireHookAccepts(t *testing.T, file string) (labels, annotations map[string]string) {
	t.Helper()
	var document map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(file), &document))
	require.NotEmpty(t, document, "an empty template throws")
	require.NotContains(t, document, "spec")
	metadata, ok := document["metadata"].(map[string]any)
	require.True(t, ok)
	strings := func(key string) map[string]string {
		found := map[string]string{}
		members, _ := metadata[key].(map[string]any)
		for name, value := range members {
			require.IsType(t, "", value, "the API server takes strings only")
			found[name] = value.(string)
		}
		return found
	}
	return strings("labels"), strings("annotations")
}

func TestTheHookTemplatePassesTheHooksRules(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	policies := policiesOf(t, "engine: {socket: {hostPath: /run/d}}\ncli: {image: i}\n"+
		"overrides: {fromPods: [containers.include, engine.discover.version, engine.transport, cli.delivery, wait.enabled]}")
	choices := map[string][]string{
		AnnotationContainers: {"runner", "job, runner", "run*"}, AnnotationEngine: {"latest"}, AnnotationTransport: {"auto", "socket"},
		AnnotationCLI: {"none", "init-container"}, AnnotationWait: {"true", "false"},
	}
	for range 200 {
		var annotations []string
		chosen := map[string]string{}
		for name, values := range choices {
			if rng.IntN(2) == 0 {
				chosen[name] = values[rng.IntN(len(values))]
				annotations = append(annotations, fmt.Sprintf("%s: %q", name, chosen[name]))
			}
		}
		label := []string{"actions-ephemeral-runner", "actions-runner"}[rng.IntN(2)]
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true', "+label+": ''}, annotations: {"+strings.Join(annotations, ", ")+"}}, "+
			"spec: {containers: [{name: runner, env: [{name: ACTIONS_RUNNER_CONTAINER_HOOKS, value: /k8s/index.js}]}]}}")
		in.Policies = policies
		plan := Decide(in)
		require.Equal(t, ReasonInjected, plan.Reason, plan.Detail)
		require.Equal(t, "/etc/dagger-inject/hook/template.json", plan.Status.HookTemplate)
		pod := patched(t, in, plan)
		labels, handed := requireHookAccepts(t, pod.Annotations[AnnotationHookTemplate])
		require.Equal(t, map[string]string{LabelInject: InjectOptional}, labels)
		if !strings.Contains(chosen[AnnotationContainers], "job") {
			delete(chosen, AnnotationContainers) // the runner's container is none of its jobs'
		}
		require.Equal(t, chosen, handed)
		in.Pod = input(t, string(mustMarshal(pod))).Pod
		require.Empty(t, Decide(in).Operations)
	}
}

func TestWhereNoOptInIsHandedOn(t *testing.T) {
	const runner = "{metadata: {labels: {dagger.io/inject: 'true', actions-ephemeral-runner: ''}%s}, spec: {containers: [{name: runner, " +
		"env: [{name: ACTIONS_RUNNER_CONTAINER_HOOKS, value: /k8s/index.js}%s]}]}}"
	for name, pod := range map[string]string{
		"the user has a template": fmt.Sprintf(runner, "", ", {name: "+EnvHookTemplate+", value: /mine}"),
		"the user has one by reference": fmt.Sprintf(runner, "",
			", {name: "+EnvHookTemplate+", valueFrom: {configMapKeyRef: {name: a, key: b}}}"),
		"variables come from elsewhere": strings.Replace(fmt.Sprintf(runner, "", ""), "{name: runner, ",
			"{name: runner, envFrom: [{configMapRef: {name: a}}], ", 1),
		"the annotation is for another":       fmt.Sprintf(runner, ", annotations: {"+AnnotationHookTemplate+": mine}", ""),
		"the pod has no room for annotations": fmt.Sprintf(runner, ", annotations: {a: '"+strings.Repeat("x", maxAnnotations)+"'}", ""),
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, pod)
			plan := Decide(in)
			require.Equal(t, ReasonInjected, plan.Reason)
			require.Contains(t, strings.Join(plan.Warnings, "\n"), "this runner runs its jobs in pods of their own")
			require.Len(t, patched(t, in, plan).Spec.Volumes, 2)
		})
	}
}

func TestAHookTemplateGivesWay(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true', actions-runner: ''}}, spec: {volumes: [{name: v, configMap: {name: c}}], "+
		"containers: [{name: runner, env: [{name: ACTIONS_RUNNER_CONTAINER_HOOKS, value: /k8s/index.js}], "+
		"volumeMounts: [{name: v, mountPath: /etc/dagger-inject}]}]}}")
	plan := Decide(in)
	require.Equal(t, "/dagger-inject/hook/template.json", plan.Status.HookTemplate)
	in.Pod = input(t, string(mustMarshal(patched(t, in, plan)))).Pod
	require.Empty(t, Decide(in).Operations)
}

func TestOptionalIsNeverRefused(t *testing.T) {
	const pod = "{metadata: {labels: {dagger.io/inject: optional}%s}, spec: {containers: [{name: a}]}}"
	for name, policy := range map[string]string{
		"onError auto": "engine: {tcp: {address: 'e:1'}}", "onError refuse": "engine: {tcp: {address: 'e:1'}}\nonError: refuse",
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, fmt.Sprintf(pod, ""))
			in.Policies = policiesOf(t, policy)
			require.Equal(t, ReasonInjected, Decide(in).Reason)

			in = input(t, fmt.Sprintf(pod, ", annotations: {dagger.io/policy: none}"))
			in.Policies = policiesOf(t, policy)
			plan := Decide(in)
			require.Equal(t, DecisionAdmitted, plan.Decision)
			require.Equal(t, ReasonAnnotationInvalid, plan.Reason)
			require.Len(t, plan.Warnings, 1)
		})
	}
	in := input(t, fmt.Sprintf(pod, ""))
	in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\nnamespaces: {podLabel: requireNamespaceLabel}")
	require.Equal(t, ReasonNamespaceLabelRequired, Decide(in).Reason, "the label is a pod's own")
}
