package inject

import (
	"regexp"
	"strings"
)

// System is the CI system that made a pod.
type System string

// The systems that are recognised without configuration, in the order in which they are tried.
const (
	SystemNone        System = ""
	SystemARCHooks    System = "actions-runner-container-hooks" // workflow and step pods of ARC's kubernetes mode
	SystemARC         System = "actions-runner-controller"      // runners of a gha-runner-scale-set
	SystemARCLegacy   System = "actions-runner-controller-legacy"
	SystemGitLab      System = "gitlab-runner"
	SystemBuildkite   System = "buildkite"
	SystemTekton      System = "tekton"
	SystemArgo        System = "argo-workflows"
	SystemJenkins     System = "jenkins"
	SystemWoodpecker  System = "woodpecker"
	SystemDrone       System = "drone"
	annotationDefault        = "kubectl.kubernetes.io/default-container"
)

var (
	gitlabPodLabel = regexp.MustCompile(`^runner-.+-project-\d+-concurrent-\d+$`)
	hooksStepName  = regexp.MustCompile(`-step-[0-9a-f]{8}(-|$)`)
)

// recognise returns the system that made the pod, by marks that the systems' own code sets. Names of containers alone prove
// nothing.
func recognise(p *pod) System {
	switch {
	case p.hasLabel("runner-pod"), isHooksStep(p):
		return SystemARCHooks
	case p.hasLabel("actions-ephemeral-runner"):
		return SystemARC
	case p.hasLabel("actions-runner"), p.hasLabel("actions-runner-controller/inject-registration-token"):
		return SystemARCLegacy
	case isGitLab(p):
		return SystemGitLab
	case p.hasLabel("buildkite.com/job-uuid"):
		return SystemBuildkite
	case p.hasLabel("tekton.dev/taskRun"):
		return SystemTekton
	case p.hasLabel("workflows.argoproj.io/workflow"):
		return SystemArgo
	case p.hasLabel("kubernetes.jenkins.io/controller"), p.hasLabel("jenkins/label"):
		return SystemJenkins
	case p.hasLabel("woodpecker-ci.org/step"):
		return SystemWoodpecker
	}
	if drone, _ := p.label("io.drone"); drone == "true" {
		return SystemDrone
	}
	return SystemNone
}

// isHooksStep recognises the pods in which container hooks 0.7 run container actions: their only mark is the name of their Job.
func isHooksStep(p *pod) bool {
	if !p.ownedByJob || p.containerNamed("job") == nil {
		return false
	}
	jobName, _ := p.label("job-name")
	return hooksStepName.MatchString(jobName) || hooksStepName.MatchString(p.namePrefix) || hooksStepName.MatchString(p.name)
}

func isGitLab(p *pod) bool {
	if _, ok := p.annotation("job.runner.gitlab.com/id"); ok || p.hasLabel("job.runner.gitlab.com/pod") {
		return true
	}
	// Before GitLab Runner 15.9 the pod's only mark was this label.
	mark, _ := p.label("pod")
	return mark != "" && gitlabPodLabel.MatchString(mark) && p.containerNamed("build") != nil
}

// unfit returns the reason that excludes a pod whatever it asks for, or the empty Reason.
func unfit(p *pod) Reason {
	if isWindows(p) {
		return ReasonWindows
	}
	if _, mirror := p.annotation("kubernetes.io/config.mirror"); mirror {
		return ReasonMirrorPod
	}
	component, _ := p.label("app.kubernetes.io/component")
	partOf, _ := p.label("app.kubernetes.io/part-of")
	if component == "runner-scale-set-listener" || partOf == "gha-rs-controller" {
		return ReasonRunnerController
	}
	return ""
}

// isWindows also looks at node selectors: GitLab Runner's Windows pods do not set spec.os.
func isWindows(p *pod) bool {
	os, _ := p.spec.Get("os").Get("name").Str()
	stable, _ := p.nodeSelector.Get("kubernetes.io/os").Str()
	beta, _ := p.nodeSelector.Get("beta.kubernetes.io/os").Str()
	return os == "windows" || stable == "windows" || beta == "windows"
}

// runsJobs reports whether the system runs the user's commands in the container.
func (s System) runsJobs(p *pod, c *container) bool {
	switch s {
	case SystemARCHooks:
		return c.name == "job"
	case SystemARC, SystemARCLegacy:
		return c.name == "runner"
	case SystemGitLab:
		return c.name == "build"
	case SystemBuildkite:
		return c.env("BUILDKITE_COMMAND").IsSet()
	case SystemTekton:
		return strings.HasPrefix(c.name, "step-")
	case SystemArgo:
		if p.hasDefault {
			return c.name == p.defaultContainer
		}
		return c.name == "main"
	case SystemNone:
		if p.hasDefault {
			return c.name == p.defaultContainer
		}
	}
	return !isInfrastructure(c) && !isDockerDaemon(c)
}

// neverRunsJobs reports whether injection must not reach the container even if it is named: an engine is root on its node, and
// service containers and mesh proxies have no use for it.
func (s System) neverRunsJobs(p *pod, c *container) bool {
	switch s {
	case SystemARCHooks, SystemGitLab:
		// Every other container is a service named by the user, or the helper.
		return !s.runsJobs(p, c)
	case SystemBuildkite:
		// A job's own image may be docker's, and privileged.
		return c.name == "agent" || c.name == "checkout" || isInfrastructure(c)
	case SystemTekton:
		return strings.HasPrefix(c.name, "sidecar-") || isInfrastructure(c)
	case SystemArgo:
		if c.name == "wait" || c.name == "supervisor" {
			return true
		}
	case SystemARC, SystemARCLegacy:
		if s.runsJobs(p, c) {
			return false
		}
	}
	return isInfrastructure(c) || isDockerDaemon(c)
}

func isInfrastructure(c *container) bool {
	switch c.name {
	case "istio-proxy", "istio-init", "istio-validation", "linkerd-proxy", "linkerd-init", "linkerd-network-validator",
		"vault-agent", "vault-agent-init", "cloud-sql-proxy", "dapr", "daprd", "listener":
		return true
	}
	return strings.HasPrefix(c.name, "datadog-")
}

// isDockerDaemon recognises docker-in-docker by the usual names, or by its image where the container is privileged.
func isDockerDaemon(c *container) bool {
	switch c.name {
	case "dind", "docker", "daemon", "dockerd":
		return true
	}
	if !c.privileged() {
		return false
	}
	image, _, _ := strings.Cut(c.image, "@")
	repository := image[strings.LastIndexByte(image, '/')+1:]
	repository, _, _ = strings.Cut(repository, ":")
	return repository == "docker" || strings.HasSuffix(repository, "-dind")
}
