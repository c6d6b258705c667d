package inject

import (
	"cmp"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/dagger-inject/dagger-inject/config"
)

// cacheKey names what a pod has in common with others that use the same cache.
type cacheKey struct {
	// text is unique within the pod's namespace, empty for none.
	text string
	// from names where it was read.
	from string
}

// in returns what is hashed: jobs of two namespaces may bear the same marks.
func (k cacheKey) in(namespace string) string { return namespace + "\x00" + k.text }

// maxCacheKey bounds a key, which stands in the status. Labels have at most 63 bytes; annotations can have many more.
const maxCacheKey = 253

// keyLevel is how much a key comprises.
type keyLevel int

const (
	keyProject keyLevel = iota
	keySet              // a set of runners or runs that may belong to several projects
	keyGroup
)

// levels are the keys that a policy looks for, the preferred first.
var levels = map[config.CacheKey][]keyLevel{
	config.CacheKeyAuto:    {keyProject, keySet, keyGroup},
	config.CacheKeyProject: {keyProject},
	config.CacheKeyGroup:   {keyGroup},
}

// keySource is one place where a CI system names what a pod belongs to. What read returns is bounded by the pod's metadata, and by the
// names of one container's variables.
type keySource struct {
	level  keyLevel
	prefix string
	from   string
	read   func(p *pod) string
}

// keySources are those of each system, in the order of preference. A branch is never a key: it has too few jobs, so that most of them
// come to a node without a cache.
var keySources = map[System][]keySource{
	SystemGitLab: {
		byLabel(keyProject, "gitlab", "project.runner.gitlab.com/id"),      // from GitLab Runner 17.9 on
		byAnnotation(keyProject, "gitlab", "project.runner.gitlab.com/id"), // from 15.9 on
		{keyProject, "gitlab", "the pod's name", gitlabProjectInName},
		byLabel(keyGroup, "gitlab-group", "project.runner.gitlab.com/root-namespace"),
	},
	SystemARC: {
		{keyProject, "arc", "labels actions.github.com/organization and repository", arcRepository},
		{keySet, "arc-set", "labels actions.github.com/organization and scale-set-name", func(p *pod) string {
			return joined(arcOwner(p), p.labelled("actions.github.com/scale-set-name"))
		}},
		{keyGroup, "arc-group", "label actions.github.com/organization or enterprise", arcOwner},
	},
	SystemARCLegacy: {
		{keyProject, "arc", "variable RUNNER_REPO", func(p *pod) string { return p.runnerVariable("RUNNER_REPO") }},
		{keySet, "arc-set", "variable RUNNER_ORG and label runner-deployment-name or runnerset-name", func(p *pod) string {
			return joined(legacyOwner(p), cmp.Or(p.labelled("runner-deployment-name"), p.labelled("runnerset-name")))
		}},
		{keyGroup, "arc-group", "variable RUNNER_ORG or RUNNER_ENTERPRISE", legacyOwner},
	},
	SystemARCHooks: {
		{keyProject, "arc-job", "workingDir of the container job", hooksRepository},
		{keySet, "arc-job-set", "the name of the runner's pod", hooksRunnerSet},
	},
	SystemBuildkite: {
		{keyProject, "buildkite", "annotation buildkite.com/build-repo", func(p *pod) string {
			return withoutUser(p.annotated("buildkite.com/build-repo"))
		}},
		byAnnotation(keyProject, "buildkite", "buildkite.com/pipeline-slug"),
	},
	SystemTekton: {
		{keyProject, "tekton", "label tekton.dev/pipeline", tektonPipeline},
		byLabel(keySet, "tekton-task", "tekton.dev/task"),
	},
	SystemArgo: {
		byLabel(keyProject, "argo", "workflows.argoproj.io/workflow-template"),
		byLabel(keyProject, "argo", "workflows.argoproj.io/cron-workflow"),
		{keySet, "argo-name", "label workflows.argoproj.io/workflow", func(p *pod) string {
			return withoutSuffix(p.labelled("workflows.argoproj.io/workflow"))
		}},
	},
	SystemJenkins: {
		{keyProject, "jenkins", "annotation runUrl", jenkinsJob},
	},
	SystemWoodpecker: {
		byLabel(keyProject, "woodpecker", "woodpecker-ci.org/repo-id"),
		byLabel(keyProject, "woodpecker", "woodpecker-ci.org/repo-full-name"),
		byLabel(keyGroup, "woodpecker-group", "woodpecker-ci.org/org-id"),
	},
	SystemDrone: {
		{keyProject, "drone", "labels io.drone.repo.namespace and name", func(p *pod) string {
			return pair(p.labelled("io.drone.repo.namespace"), p.labelled("io.drone.repo.name"))
		}},
		byLabel(keyGroup, "drone-group", "io.drone.repo.namespace"),
	},
}

func byLabel(level keyLevel, prefix, label string) keySource {
	return keySource{level, prefix, "label " + label, func(p *pod) string { return p.labelled(label) }}
}

func byAnnotation(level keyLevel, prefix, annotation string) keySource {
	return keySource{level, prefix, "annotation " + annotation, func(p *pod) string { return p.annotated(annotation) }}
}

// readCacheKey returns the key of a pod, the zero cacheKey where nothing names one.
func readCacheKey(p *pod, system System, wanted config.CacheKey) cacheKey {
	for _, level := range levels[wanted] {
		for _, source := range keySources[system] {
			if source.level != level {
				continue
			}
			if value := source.read(p); value != "" && len(source.prefix)+1+len(value) <= maxCacheKey {
				return cacheKey{source.prefix + ":" + value, source.from}
			}
		}
	}
	return cacheKey{}
}

// labelled returns a label's value. One that no label can have is none: what the API server will refuse is not worth matching.
func (p *pod) labelled(name string) string {
	value, _ := p.label(name)
	return atMost(validation.LabelValueMaxLength, value)
}

// maxKeyAnnotation bounds the annotations that are looked at.
const maxKeyAnnotation = 4 << 10

func (p *pod) annotated(name string) string {
	value, _ := p.annotation(name)
	return atMost(maxKeyAnnotation, value)
}

// names returns the pod's name and what its name begins with, as far as they can be names.
func (p *pod) names() []string {
	return []string{atMost(validation.DNS1123SubdomainMaxLength, p.name), atMost(validation.DNS1123SubdomainMaxLength, p.namePrefix)}
}

// atMost returns the text, empty if it is longer than so many bytes.
func atMost(most int, text string) string {
	if len(text) > most {
		return ""
	}
	return text
}

// runnerVariable returns a variable of legacy ARC's container.
func (p *pod) runnerVariable(name string) string {
	c := p.containerNamed("runner")
	if c == nil {
		return ""
	}
	value, _ := c.env(name).Get("value").Str()
	return cmp.Or(atMost(maxKeyAnnotation, value), p.runnerField(name))
}

// runnerFields are the fields of legacy ARC's RunnerSpec from which the controller makes these variables.
var runnerFields = map[string]string{"RUNNER_REPO": "repository", "RUNNER_ORG": "organization", "RUNNER_ENTERPRISE": "enterprise"}

func (p *pod) runnerField(variable string) string {
	if !p.runnerSpec {
		return ""
	}
	value, _ := p.spec.Get(runnerFields[variable]).Str()
	return atMost(maxKeyAnnotation, value)
}

// pair returns owner/name, empty unless both are there.
func pair(owner, name string) string {
	if owner == "" || name == "" {
		return ""
	}
	return owner + "/" + name
}

// joined returns owner/name, or the name where there is no owner; empty without a name.
func joined(owner, name string) string {
	if owner == "" || name == "" {
		return name
	}
	return owner + "/" + name
}

func arcOwner(p *pod) string {
	return cmp.Or(p.labelled("actions.github.com/organization"), p.labelled("actions.github.com/enterprise"))
}

// arcRepository returns the repository of a scale set for one. A scale set for an organization gets its jobs after its pods exist.
func arcRepository(p *pod) string {
	return joined(arcOwner(p), p.labelled("actions.github.com/repository"))
}

func legacyOwner(p *pod) string {
	return cmp.Or(p.runnerVariable("RUNNER_ORG"), p.runnerVariable("RUNNER_ENTERPRISE"))
}

var gitlabProject = regexp.MustCompile(`-project-(\d+)-concurrent-`)

// gitlabProjectInName reads what every version of GitLab Runner has in the label pod, and in the pod's name.
func gitlabProjectInName(p *pod) string {
	for _, name := range append([]string{p.labelled("pod"), p.labelled("job.runner.gitlab.com/pod")}, p.names()...) {
		if found := gitlabProject.FindStringSubmatch(name); found != nil {
			return found[1]
		}
	}
	return ""
}

// hooksRepository reads the folder into which the runner checks out: /__w/REPOSITORY/REPOSITORY.
func hooksRepository(p *pod) string {
	c := p.containerNamed("job")
	if c == nil {
		return ""
	}
	dir, _ := c.raw.Get("workingDir").Str()
	below, ok := strings.CutPrefix(atMost(maxKeyAnnotation, dir), "/__w/")
	if !ok {
		return ""
	}
	repository, _, _ := strings.Cut(below, "/")
	return repository
}

// generated is what the API server appends to generateName (k8s.io/apiserver, storage/names).
const generated = `[bcdfghjklmnpqrstvwxz2456789]{5}`

var (
	runnerOfSet = regexp.MustCompile(`^(.+?)(?:-` + generated + `)?-runner-` + generated + `(?:-|$)`)
	runSuffix   = regexp.MustCompile(`-(?:` + generated + `|\d{10})$`)
)

// hooksRunnerSet reads the runner set off the name of the runner's pod, with which the names of its workflow pods and jobs begin.
func hooksRunnerSet(p *pod) string {
	for _, name := range append([]string{p.labelled("runner-pod"), p.labelled("job-name")}, p.names()...) {
		if found := runnerOfSet.FindStringSubmatch(name); found != nil {
			return found[1]
		}
	}
	return ""
}

// withoutSuffix removes from the name of a run what tells it from other runs: a generated suffix, or a cron workflow's time.
func withoutSuffix(name string) string { return runSuffix.ReplaceAllString(name, "") }

// tektonPipeline reads the pipeline. One that is embedded in its run is named like the run.
func tektonPipeline(p *pod) string {
	name := p.labelled("tekton.dev/pipeline")
	if name == p.labelled("tekton.dev/pipelineRun") {
		return withoutSuffix(name)
	}
	return name
}

// withoutUser removes the scheme and the user of a repository's URL: it may contain a password, which must not come into the status.
func withoutUser(url string) string {
	if _, after, ok := strings.Cut(url, "://"); ok {
		url = after
	}
	return url[strings.LastIndexByte(url, '@')+1:]
}

// jenkinsJob reads the job off the URL of its run: job/FOLDER/job/NAME/12/. Of several, the last may be the branch of a multibranch
// project, and is left out.
func jenkinsJob(p *pod) string {
	parts := strings.Split(strings.Trim(p.annotated("runUrl"), "/"), "/")
	if len(parts) < 3 {
		return ""
	}
	if parts = parts[:len(parts)-1]; len(parts) >= 4 {
		parts = parts[:len(parts)-2]
	}
	return strings.Join(parts, "/")
}
