package inject

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// chooseTargets returns the containers that injection should reach, or why there are none. The annotation's choice comes
// before the policy's include, and that before what the system implies; the policy's exclude always holds. It compares at most
// maxContainers names of at most maxName bytes with at most 64 patterns of the policy's, twice.
func chooseTargets(p *pod, system System, chosen *choices, exclude []string, trace *Trace) (targets []*container, _ *obstacle) {
	include, source := chosen.include, "the policy's containers.include"
	if chosen.included {
		source = "the annotation " + AnnotationContainers
	}
	trace.chooser(len(include) > 0, source)
	var kept, excluded []string
	for i := range p.containers {
		c := &p.containers[i]
		if len(include) > 0 {
			if !matchesAny(include, c.name) {
				trace.container(c, false, "not named")
				continue
			}
		} else if !system.runsJobs(p, c) {
			trace.container(c, false, "it runs no jobs")
			continue
		}
		if system.neverRunsJobs(p, c) {
			trace.container(c, false, "it never runs jobs, whatever names it")
			kept = append(kept, c.name)
			continue
		}
		if matchesAny(exclude, c.name) {
			trace.container(c, false, "the policy's containers.exclude takes it out")
			excluded = append(excluded, c.name)
			continue
		}
		trace.container(c, true, "")
		targets = append(targets, c)
	}
	if len(targets) > 0 {
		return targets, nil
	}
	if len(include) == 0 {
		source = "the annotation " + annotationDefault
	}
	return nil, &obstacle{ReasonNoTargetContainer, noTarget(p, system, len(include) > 0, source, kept, excluded)}
}

// noTarget says why a pod has no container that injection should reach: the source names some, or the system implies them.
func noTarget(p *pod, system System, named bool, source string, kept, excluded []string) string {
	switch {
	case len(kept) > 0:
		return fmt.Sprintf("%s names only containers that never run jobs: %s", source, joinNames(kept))
	case len(excluded) > 0:
		return "the policy's containers.exclude takes out " + joinNames(excluded)
	case named:
		return fmt.Sprintf("%s matches none of %s", source, containerNames(p))
	case system == SystemNone:
		return "the pod has only infrastructure containers: " + containerNames(p)
	}
	return fmt.Sprintf("the pod is recognised as %s, but none of its containers is one that it runs jobs in: %s", system,
		containerNames(p))
}

func splitNames(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// malformed describes the first malformed pattern, or returns empty.
func malformed(globs []string) string {
	for _, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Sprintf("the pattern %.60q is malformed", glob)
		}
	}
	return ""
}

// maxName is the longest name of a container that the API server accepts (RFC 1123 label).
const maxName = 63

func matchesAny(globs []string, name string) bool {
	if len(name) > maxName {
		return false
	}
	for _, glob := range globs {
		if ok, _ := path.Match(glob, name); ok {
			return true
		}
	}
	return false
}

func containerNames(p *pod) string {
	names := make([]string, 0, len(p.containers))
	for _, c := range p.containers {
		names = append(names, c.name)
	}
	return joinNames(names)
}

// joinNames lists names for a message, and keeps it short even for a pod of 10,000 containers.
func joinNames(names []string) string {
	const most = 8
	if len(names) == 0 {
		return "none"
	}
	for i, name := range names[:min(len(names), most)] {
		if len(name) > 63 { // Kubernetes has no longer ones, but what is refused later is read first
			names = slices.Clone(names)
			names[i] = truncate.Text(name, 63)
		}
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
