package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRecognisedPods has the marks that each system's code sets (their versions: the header of each fixture, and for those
// without one, agent-stack-k8s a5d56d1d, argo-workflows f016ad89, woodpecker a4cb541b, drone-runner-kube 018c4160).
func TestRecognisedPods(t *testing.T) {
	cases := map[string]struct {
		pod     string
		system  System
		targets []string
	}{
		"hooks workflow": {"{metadata: {labels: {runner-pod: r}}, spec: {containers: [{name: redis}, {name: job}]}}", SystemARCHooks,
			[]string{"job"}},
		"hooks step, by its job's name": {"{metadata: {generateName: r-step-d18f0917-, ownerReferences: [{kind: Job}]}, spec: {containers: " +
			"[{name: job}]}}",
			SystemARCHooks, []string{"job"}},
		"a Job that only looks like one": {"{metadata: {generateName: r-step-zz, ownerReferences: [{kind: Job}]}, spec: {containers: " +
			"[{name: job}]}}", SystemNone, []string{"job"}},
		"a step without a Job": {"{metadata: {generateName: r-step-d18f0917-}, spec: {containers: [{name: job}]}}", SystemNone, []string{"job"}},
		"scale set": {"{metadata: {labels: {actions-ephemeral-runner: 'True'}}, spec: {containers: [{name: dind}, {name: runner}]}}",
			SystemARC, []string{"runner"}},
		"legacy, by either label": {"{metadata: {labels: {actions-runner-controller/inject-registration-token: 'true'}}, spec: {containers: " +
			"[{name: runner}, {name: docker}]}}",
			SystemARCLegacy, []string{"runner"}},
		"legacy dind in the runner": {"{metadata: {labels: {actions-runner: ''}}, spec: {containers: [{name: runner, image: " +
			"'x/actions-runner-dind:1', securityContext: {privileged: true}}]}}",
			SystemARCLegacy, []string{"runner"}},
		"GitLab before 15.9": {"{metadata: {labels: {pod: runner-abc-project-12-concurrent-0}}, spec: {containers: [{name: build}, {name: " +
			"helper}, {name: svc-0}]}}",
			SystemGitLab, []string{"build"}},
		"GitLab native steps": {"{metadata: {annotations: {job.runner.gitlab.com/id: '1'}}, spec: {containers: [{name: build, env: null}]}}",
			SystemGitLab, []string{"build"}},
		"buildkite": {"{metadata: {labels: {buildkite.com/job-uuid: u}}, spec: {containers: [{name: agent}, {name: checkout}, {name: " +
			"container-0, env: [{name: BUILDKITE_COMMAND, value: make}]}]}}",
			SystemBuildkite, []string{"container-0"}},
		"tekton": {"{metadata: {labels: {tekton.dev/taskRun: t}}, spec: {containers: [{name: step-a}, {name: sidecar-b}, {name: step-c}]}}",
			SystemTekton, []string{"step-a", "step-c"}},
		"argo": {"{metadata: {labels: {workflows.argoproj.io/workflow: w}}, spec: {containers: [{name: wait}, {name: main}]}}", SystemArgo,
			[]string{"main"}},
		"argo, annotated": {"{metadata: {labels: {workflows.argoproj.io/workflow: w}, annotations: {kubectl.kubernetes.io/default-container: " +
			"b}}, spec: {containers: [{name: wait}, {name: a}, {name: b}]}}",
			SystemArgo, []string{"b"}},
		"jenkins": {"{metadata: {labels: {jenkins/label: l}}, spec: {containers: [{name: jnlp}, {name: go}, {name: istio-proxy}, {name: dind, " +
			"image: docker, securityContext: {privileged: true}}]}}",
			SystemJenkins, []string{"jnlp", "go"}},
		"woodpecker": {"{metadata: {labels: {woodpecker-ci.org/step: s}}, spec: {containers: [{name: wp-1}]}}", SystemWoodpecker,
			[]string{"wp-1"}},
		"drone": {"{metadata: {labels: {io.drone: 'true'}}, spec: {containers: [{name: a1}, {name: b2}]}}", SystemDrone, []string{"a1", "b2"}},
		"anything": {"{spec: {containers: [{name: app}, {name: linkerd-proxy}, {name: datadog-agent}, {name: dockerd}]}}", SystemNone,
			[]string{"app"}},
		"anything, annotated": {"{metadata: {annotations: {kubectl.kubernetes.io/default-container: app}}, spec: {containers: [{name: helper}, " +
			"{name: app}]}}",
			SystemNone, []string{"app"}},
		"docker by its image": {"{spec: {containers: [{name: app}, {name: builder, image: 'registry:5000/lib/docker:27-dind@sha256:0', " +
			"securityContext: {privileged: true}}]}}",
			SystemNone, []string{"app"}},
		"the docker client is no daemon": {"{spec: {containers: [{name: app, image: 'docker:27'}]}}", SystemNone, []string{"app"}},
		"a default container that is a daemon": {"{metadata: {annotations: {kubectl.kubernetes.io/default-container: dind}}, spec: " +
			"{containers: [{name: app}, {name: dind}]}}",
			SystemNone, nil},
		"a default container that is a mesh's": {"{metadata: {labels: {workflows.argoproj.io/workflow: w}, annotations: " +
			"{kubectl.kubernetes.io/default-container: wait}}, spec: {containers: [{name: wait}]}}",
			SystemArgo, nil},
		"a checkout with a command": {"{metadata: {labels: {buildkite.com/job-uuid: u}}, spec: {containers: [{name: checkout, env: [{name: " +
			"BUILDKITE_COMMAND}]}]}}",
			SystemBuildkite, nil},
		"a job in docker's own image": {"{metadata: {annotations: {job.runner.gitlab.com/id: '1'}}, spec: {containers: [{name: build, image: " +
			"'docker:27', securityContext: {privileged: true}}]}}",
			SystemGitLab, []string{"build"}},
		"a rule's container is missing": {"{metadata: {labels: {actions-ephemeral-runner: 'True'}}, spec: {containers: [{name: worker}]}}",
			SystemARC, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, c.pod)
			p, err := readPod(in.Pod, false)
			require.NoError(t, err)
			system := recognise(p)
			require.Equal(t, c.system, system)
			targets, none := chooseTargets(p, system, &choices{}, nil, nil)
			var names []string
			for _, target := range targets {
				names = append(names, target.name)
			}
			require.Equal(t, c.targets, names)
			require.Equal(t, len(names) == 0, none != nil, "nothing is always explained")
		})
	}
}

func TestUnfitPods(t *testing.T) {
	cases := map[string]Reason{
		"{spec: {os: {name: windows}}}":                                                            ReasonWindows,
		"{spec: {nodeSelector: {kubernetes.io/os: windows}}}":                                      ReasonWindows,
		"{spec: {nodeSelector: {beta.kubernetes.io/os: windows}}}":                                 ReasonWindows,
		"{metadata: {annotations: {kubernetes.io/config.mirror: x}}, spec: {}}":                    ReasonMirrorPod,
		"{metadata: {labels: {app.kubernetes.io/part-of: gha-rs-controller}}, spec: {}}":           ReasonRunnerController,
		"{metadata: {labels: {app.kubernetes.io/component: runner-scale-set-listener}}, spec: {}}": ReasonRunnerController,
		"{spec: {os: {name: linux}, nodeSelector: {kubernetes.io/os: linux}}}":                     "",
	}
	for pod, want := range cases {
		p, err := readPod(input(t, pod).Pod, false)
		require.NoError(t, err)
		require.Equal(t, want, unfit(p), pod)
	}
}

func TestTheAnnotationChoosesButNeverReachesInfrastructure(t *testing.T) {
	pod := func(chosen string) string {
		return "{metadata: {labels: {dagger.io/inject: 'true', jenkins/label: l}, annotations: {dagger.io/containers: '" + chosen +
			"'}}, spec: {containers: [{name: jnlp}, {name: go-1}, {name: go-2}, {name: istio-proxy}, {name: docker}]}}"
	}
	cases := map[string]struct {
		containers []string
		detail     string
	}{
		"go-*":            {[]string{"go-1", "go-2"}, ""},
		" jnlp , go-2,":   {[]string{"jnlp", "go-2"}, ""},
		"*":               {[]string{"jnlp", "go-1", "go-2"}, ""},
		"istio-*,docker":  {nil, "names only containers that never run jobs: istio-proxy, docker"},
		"nothing-like-it": {nil, "matches none of jnlp, go-1, go-2, istio-proxy, docker"},
		",":               {nil, "is empty"},
		"[":               {nil, "is malformed"},
	}
	for chosen, c := range cases {
		t.Run(chosen, func(t *testing.T) {
			plan := Decide(input(t, pod(chosen)))
			if c.containers == nil {
				want := ReasonNoTargetContainer
				if chosen == "," || chosen == "[" {
					want = ReasonAnnotationInvalid
				}
				require.Equal(t, want, plan.Reason)
				require.Contains(t, plan.Detail, c.detail)
				return
			}
			require.Equal(t, c.containers, plan.Status.Containers)
		})
	}
}
