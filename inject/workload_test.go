package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplatesAreFoundByTheirPlace(t *testing.T) {
	const spec = "spec: {containers: [{name: a}]}"
	cases := map[string]struct {
		object, pointer string
		system          System
		runnerSpec      bool
		found           bool
	}{
		"Pod":          {"{kind: Pod, " + spec + "}", "", "", false, true},
		"Deployment":   {"{kind: Deployment, spec: {template: {" + spec + "}}}", "/spec/template", "", false, true},
		"unknown kind": {"{kind: Rollout, spec: {template: {" + spec + "}}}", "/spec/template", "", false, true},
		"CronJob": {"{kind: CronJob, spec: {jobTemplate: {spec: {template: {" + spec + "}}}}}", "/spec/jobTemplate/spec/template",
			"", false, true},
		"PodTemplate": {"{kind: PodTemplate, template: {" + spec + "}}", "/template", "", false, true},
		"AutoscalingRunnerSet": {"{apiVersion: actions.github.com/v1alpha1, kind: AutoscalingRunnerSet, spec: {template: {" + spec + "}}}",
			"/spec/template", SystemARC, false, true},
		"EphemeralRunner": {"{apiVersion: actions.github.com/v1alpha1, kind: EphemeralRunner, spec: {githubConfigUrl: u, metadata: {}, " +
			spec + "}}", "/spec", SystemARC, false, true},
		"EphemeralRunnerSet": {"{apiVersion: actions.github.com/v1alpha1, kind: EphemeralRunnerSet, spec: {ephemeralRunnerSpec: {" + spec + "}}}",
			"/spec/ephemeralRunnerSpec", SystemARC, false, true},
		"RunnerSet": {"{apiVersion: actions.summerwind.dev/v1alpha1, kind: RunnerSet, spec: {template: {" + spec + "}}}", "/spec/template",
			SystemARCLegacy, false, true},
		"RunnerDeployment": {"{apiVersion: actions.summerwind.dev/v1alpha1, kind: RunnerDeployment, spec: {template: {spec: {repository: a/b}}}}",
			"/spec/template", SystemARCLegacy, true, true},
		"RunnerDeployment with containers": {"{apiVersion: actions.summerwind.dev/v1alpha1, kind: RunnerDeployment, spec: {template: {spec: " +
			"{containers: [{name: runner}]}}}}",
			"/spec/template", SystemARCLegacy, true, true},
		"another project's Runner": {"{apiVersion: apps.gitlab.com/v1beta2, kind: Runner, spec: {env: custom-env}}", "/spec/template", "", false,
			false},
		"Service": {"{kind: Service, spec: {selector: {a: b}}}", "/spec/template", "", false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			template, found := findTemplate(input(t, c.object))
			require.Equal(t, c.found, found)
			require.Equal(t, c.pointer, template.Pointer)
			require.Equal(t, c.system, template.System)
			require.Equal(t, c.runnerSpec, template.RunnerSpec)
		})
	}
}

func TestARunnerSpecIsInjectedWhereItsControllerReads(t *testing.T) {
	in := input(t, `
apiVersion: actions.summerwind.dev/v1alpha1
kind: RunnerDeployment
spec:
  template:
    metadata: {labels: {dagger.io/inject: "true"}}
    spec:
      repository: acme/widgets
      env: [{name: OWN, value: x}]
`)
	template, found := findTemplate(in)
	require.True(t, found)
	in.Pod, in.Pointer, in.System, in.RunnerSpec = template.Pod, template.Pointer, template.System, template.RunnerSpec
	plan := Decide(in)
	require.Equal(t, ReasonInjected, plan.Reason, plan.Detail)
	require.Equal(t, []string{"runner"}, plan.Status.Containers)
	var paths []string
	for _, op := range plan.Operations {
		paths = append(paths, op.Path)
	}
	require.Contains(t, paths, "/spec/template/spec/env/-")
	require.Contains(t, paths, "/spec/template/spec/volumeMounts")
	require.Contains(t, paths, "/spec/template/spec/initContainers")
	require.NotContains(t, paths, "/spec/template/spec/containers", "a list of containers would change what the controller adds")
}

func TestARunnerContainerWithoutVariablesKeepsThoseOfItsSpec(t *testing.T) {
	in := input(t, `
apiVersion: actions.summerwind.dev/v1alpha1
kind: Runner
metadata: {labels: {dagger.io/inject: "true"}}
spec:
  env: [{name: OWN, value: x}]
  resources: {requests: {cpu: 10m}, limits: {memory: 16Mi}}
  containers: [{name: runner}, {name: docker}]
`)
	template, _ := findTemplate(in)
	in.System, in.RunnerSpec = template.System, template.RunnerSpec
	plan := Decide(in)
	require.Equal(t, ReasonInjected, plan.Reason, plan.Detail)
	text := string(mustMarshal(plan.Operations))
	require.Contains(t, text, `"path":"/spec/env/-"`, "a variable of the container would make the controller drop the spec's")
	require.Contains(t, text, `"path":"/spec/containers/0/volumeMounts"`)
	require.Contains(t, text, `"cpu":"100m"`, "the spec's resources are the runner's, not the pod's")
}

func findTemplate(in Input) (Template, bool) {
	kind, _ := in.Pod.Get("kind").Str()
	return FindTemplate(in.Pod, kind)
}
