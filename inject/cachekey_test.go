package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
)

// TestCacheKeys has what each system says of a pod's project, and what is left where it says less.
func TestCacheKeys(t *testing.T) {
	const auto, project, group = config.CacheKeyAuto, config.CacheKeyProject, config.CacheKeyGroup
	arc := func(labels string) string {
		return "metadata: {labels: {actions-ephemeral-runner: 'True', " + labels + "}}"
	}
	const acme, widgets, set = "actions.github.com/organization: acme", "actions.github.com/repository: widgets",
		"actions.github.com/scale-set-name: linux"
	legacy := func(labels, env string) string {
		return "metadata: {labels: {actions-runner: '', " + labels + "}}, spec: {containers: [{name: runner, env: [" + env + "]}]}"
	}
	hooks := func(runner, dir string) string {
		return "metadata: {labels: {runner-pod: " + runner + "}}, spec: {containers: [{name: job, workingDir: " + dir + "}]}"
	}
	argo := func(labels string) string { return "metadata: {labels: {" + labels + "}}" }
	cases := map[string]struct {
		pod    string
		wanted config.CacheKey
		want   string
	}{
		"gitlab, by the annotation of 15.9": {"metadata: {annotations: {job.runner.gitlab.com/id: '1', project.runner.gitlab.com/id: '7'}}",
			auto, "gitlab:7"},
		"gitlab, by the name": {"metadata: {name: runner-abc-project-77-concurrent-0-x7k2m, annotations: {job.runner.gitlab.com/id: '1'}}",
			auto, "gitlab:77"},
		"gitlab, the label wins": {"metadata: {name: runner-abc-project-77-concurrent-0, labels: {project.runner.gitlab.com/id: '78'}, " +
			"annotations: {job.runner.gitlab.com/id: '1'}}", project, "gitlab:78"},
		"gitlab, no root namespace": {"metadata: {name: runner-abc-project-77-concurrent-0, annotations: {job.runner.gitlab.com/id: '1'}}",
			group, ""},
		"arc, a repository":                     {arc(acme + ", " + widgets + ", " + set), auto, "arc:acme/widgets"},
		"arc, an organization":                  {arc(acme + ", " + set), auto, "arc-set:acme/linux"},
		"arc, an organization has no project":   {arc(acme + ", " + set), project, ""},
		"arc, an enterprise":                    {arc("actions.github.com/enterprise: big, " + set), auto, "arc-set:big/linux"},
		"arc, the group":                        {arc(acme + ", " + widgets), group, "arc-group:acme"},
		"arc, nothing":                          {arc("a: b"), auto, ""},
		"legacy, a repository":                  {legacy("", "{name: RUNNER_REPO, value: acme/widgets}"), auto, "arc:acme/widgets"},
		"legacy, an organization":               {legacy("runner-deployment-name: d", "{name: RUNNER_ORG, value: acme}"), auto, "arc-set:acme/d"},
		"legacy, a set":                         {legacy("runnerset-name: s", ""), auto, "arc-set:s"},
		"legacy, an organization and no name":   {legacy("", "{name: RUNNER_ORG, value: acme}"), auto, "arc-group:acme"},
		"legacy, a variable from a Secret":      {legacy("", "{name: RUNNER_REPO, valueFrom: {secretKeyRef: {name: a, key: b}}}"), auto, ""},
		"hooks, the folder of the repository":   {hooks("linux-x7k2m-runner-q9wzd", "/__w/widgets/widgets"), auto, "arc-job:widgets"},
		"hooks, another folder":                 {hooks("linux-x7k2m-runner-q9wzd", "/github/workspace"), auto, "arc-job-set:linux"},
		"hooks, a set without a suffix":         {hooks("linux-small-runner-q9wzd", "/"), auto, "arc-job-set:linux-small"},
		"hooks, a runner of another name":       {hooks("my-pod", "/"), auto, ""},
		"buildkite, the repository":             {argo("buildkite.com/job-uuid: x"), auto, ""},
		"tekton, a pipeline":                    {argo("tekton.dev/taskRun: t, tekton.dev/pipeline: ci"), auto, "tekton:ci"},
		"tekton, a pipeline within its run":     {argo("tekton.dev/taskRun: t, tekton.dev/pipeline: ci-x7k2m, tekton.dev/pipelineRun: ci-x7k2m"), auto, "tekton:ci"},
		"tekton, a name like a generated one":   {argo("tekton.dev/taskRun: t, tekton.dev/pipeline: deploy-https"), auto, "tekton:deploy-https"},
		"a label that is none":                  {argo("io.drone: 'true', io.drone.repo.namespace: " + strings.Repeat("x", 64)), group, ""},
		"tekton, a task":                        {argo("tekton.dev/taskRun: t, tekton.dev/task: build"), auto, "tekton-task:build"},
		"argo, a template":                      {argo("workflows.argoproj.io/workflow: w, workflows.argoproj.io/workflow-template: ci"), auto, "argo:ci"},
		"argo, a generated name":                {argo("workflows.argoproj.io/workflow: build-x7k2m"), auto, "argo-name:build"},
		"argo, a cron workflow's name":          {argo("workflows.argoproj.io/workflow: nightly-1770000000"), auto, "argo-name:nightly"},
		"argo, a name is no project":            {argo("workflows.argoproj.io/workflow: build-x7k2m"), project, ""},
		"jenkins, a job":                        {jenkins("job/widgets/12/"), auto, "jenkins:job/widgets"},
		"jenkins, a branch is left out":         {jenkins("job/widgets/job/main/12/"), auto, "jenkins:job/widgets"},
		"jenkins, a branch in a folder":         {jenkins("job/acme/job/widgets/job/PR-7/3/"), auto, "jenkins:job/acme/job/widgets"},
		"jenkins, something else":               {jenkins("12/"), auto, ""},
		"woodpecker, by its name":               {argo("woodpecker-ci.org/step: s, woodpecker-ci.org/repo-full-name: acme-w"), auto, "woodpecker:acme-w"},
		"woodpecker, the organization":          {argo("woodpecker-ci.org/step: s, woodpecker-ci.org/org-id: '3'"), group, "woodpecker-group:3"},
		"drone, half of the name":               {argo("io.drone: 'true', io.drone.repo.name: widgets"), auto, ""},
		"drone, the namespace":                  {argo("io.drone: 'true', io.drone.repo.namespace: acme"), group, "drone-group:acme"},
		"no system":                             {argo("project.runner.gitlab.com/id: '7'"), auto, ""},
		"a key of 254 bytes is none":            {buildkite(strings.Repeat("x", 253-len("buildkite:")+1)), auto, "buildkite:slug"},
		"a key of 253 bytes":                    {buildkite(strings.Repeat("x", 253-len("buildkite:"))), auto, "buildkite:" + strings.Repeat("x", 243)},
		"a password does not come into the key": {buildkite("https://user:pass@host/acme/w.git"), auto, "buildkite:host/acme/w.git"},
		"nor one with a slash":                  {buildkite("https://user:pa/ss@host/acme/w.git"), auto, "buildkite:host/acme/w.git"},
		"an address of scp":                     {buildkite("git@github.com:acme/w.git"), auto, "buildkite:github.com:acme/w.git"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text := c.pod
			if !strings.Contains(text, "spec:") {
				text += ", spec: {}"
			}
			p, err := readPod(input(t, "{"+text+"}").Pod, false)
			require.NoError(t, err)
			key := readCacheKey(p, recognise(p), c.wanted)
			require.Equal(t, c.want, key.text)
			require.Equal(t, c.want == "", key.from == "")
		})
	}
}

func jenkins(url string) string {
	return "metadata: {labels: {jenkins/label: x}, annotations: {runUrl: " + url + "}}"
}

func buildkite(repository string) string {
	return "metadata: {labels: {buildkite.com/job-uuid: x}, annotations: {buildkite.com/pipeline-slug: slug, buildkite.com/build-repo: '" +
		repository + "'}}"
}

// TestEverySystemHasKeys keeps the table of keys complete.
func TestEverySystemHasKeys(t *testing.T) {
	for _, system := range []System{SystemARCHooks, SystemARC, SystemARCLegacy, SystemGitLab, SystemBuildkite, SystemTekton, SystemArgo,
		SystemJenkins, SystemWoodpecker, SystemDrone} {
		require.NotEmpty(t, keySources[system], system)
	}
}
