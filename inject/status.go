package inject

import (
	"strconv"

	"github.com/dagger-inject/dagger-inject/inject/patch"
)

// Status is what the annotation dagger.io/status records of an injection. It describes the pod after the injection, not what
// one call added, so that a second call on the same pod writes the same.
type Status struct {
	// Version is the version of the program that injected.
	Version string `json:"version"`
	// Policy is the policy that applied.
	Policy PolicyStatus `json:"policy"`
	// Transport is how the pod reaches the engine: socket, node-tcp, tcp, tls or sidecar. It is empty where every container is left as it is.
	Transport string `json:"transport,omitempty"`
	// Engine is the address that the Dagger client is given.
	Engine string `json:"engine,omitempty"`
	// EngineImage is the image of the engine that is the pod's own.
	EngineImage string `json:"engineImage,omitempty"`
	// CLI is how the dagger command came into the pod: init-container, image-volume or none.
	CLI string `json:"cli,omitempty"`
	// CLIBecause says why it did not come as the policy or the pod asked.
	CLIBecause string `json:"cliBecause,omitempty"`
	// CLIImage is the image that the CLI is from.
	CLIImage string `json:"cliImage,omitempty"`
	// CLIStorage says what the copy of the CLI may take of the limit of ephemeral-storage that the pod has.
	CLIStorage string `json:"cliStorage,omitempty"`
	// Wait says whether the pod waits for the engine: on or off, and after a colon what is special about it or what decided
	// against it.
	Wait string `json:"wait,omitempty"`
	// Containers are the names of the injected containers.
	Containers []string `json:"containers,omitempty"`
	// Left are containers that would be injected and are left as they are, or in part, with the reason.
	Left []LeftContainer `json:"left,omitempty"`
	// Moved is what containers have elsewhere than at its usual path, with what is in the way there.
	Moved []MovedMount `json:"moved,omitempty"`
	// InitContainers are the names of the added init containers.
	InitContainers []string `json:"initContainers,omitempty"`
	// Volumes are the names of the added volumes.
	Volumes []string `json:"volumes,omitempty"`
	// ReadFrom is the workload that the engine was read off.
	ReadFrom string `json:"readFrom,omitempty"`
	// SELinux are the options that containers got, as in type=spc_t.
	SELinux string `json:"seLinux,omitempty"`
	// HookTemplate is the file by which a runner hands its opting in on to the pods of its jobs.
	HookTemplate string `json:"hookTemplate,omitempty"`
	// CacheAffinity is how the pod was placed by the cache of its project; nil where it was not.
	CacheAffinity *CacheAffinityStatus `json:"cacheAffinity,omitempty"`
	// NotCopied are tolerations of the engine that the pod did not get.
	NotCopied []string `json:"notCopied,omitempty"`
}

// PolicyStatus identifies a policy.
type PolicyStatus struct {
	// Source is where the policy came from.
	Source string `json:"source"`
	// Hash identifies its content.
	Hash string `json:"hash"`
}

// LeftContainer is a container that was not injected because of the user's own settings.
type LeftContainer struct {
	Name    string `json:"name"`
	Because string `json:"because"`
}

// MovedMount is something of ours in a container whose own mounts are in its usual place.
type MovedMount struct {
	// Name is the container's.
	Name string `json:"name"`
	// Path is where it is: the socket's directory, the client's certificates, or the dagger command.
	Path    string `json:"path"`
	Because string `json:"because"`
}

// maxAnnotations is how many bytes of annotations a pod may have and still get ours: the API server refuses more than
// 256 KiB (k8s.io/apimachinery, validation.TotalAnnotationSizeLimitB).
const maxAnnotations = 240 << 10

// write sets the status annotation unless the pod has exactly this one. Any other value was written by a user or by an earlier
// call that knew less.
func (s *Status) write(p *pod, annotations *patch.Cursor) {
	text := string(s.appendJSON(make([]byte, 0, 768)))
	have, _ := p.annotation(AnnotationStatus)
	if len(p.annotations.Text())-len(have)+len(text) > maxAnnotations {
		return
	}
	if have != text {
		annotations.Member(AnnotationStatus).Replace(patch.String(text))
	}
}

// appendJSON appends the same bytes as encoding/json would, in a third of the time (BenchmarkStatus).
func (s *Status) appendJSON(dst []byte) []byte {
	dst = appendMember(dst, "{", "version", s.Version)
	dst = appendMember(dst, `,"policy":{`, "source", s.Policy.Source)
	dst = appendMember(dst, ",", "hash", s.Policy.Hash)
	dst = append(dst, '}')
	for _, m := range [...]struct{ name, value string }{
		{"transport", s.Transport}, {"engine", s.Engine}, {"engineImage", s.EngineImage}, {"cli", s.CLI}, {"cliBecause", s.CLIBecause},
		{"cliImage", s.CLIImage},
		{"cliStorage", s.CLIStorage}, {"wait", s.Wait},
	} {
		if m.value != "" {
			dst = appendMember(dst, ",", m.name, m.value)
		}
	}
	dst = appendNames(dst, "containers", s.Containers)
	if len(s.Left) > 0 {
		dst = append(dst, `,"left":`...)
		dst = append(dst, mustMarshal(s.Left)...)
	}
	if len(s.Moved) > 0 {
		dst = append(dst, `,"moved":`...)
		dst = append(dst, mustMarshal(s.Moved)...)
	}
	dst = appendNames(dst, "initContainers", s.InitContainers)
	dst = appendNames(dst, "volumes", s.Volumes)
	for _, m := range [...]struct{ name, value string }{{"readFrom", s.ReadFrom}, {"seLinux", s.SELinux}, {"hookTemplate", s.HookTemplate}} {
		if m.value != "" {
			dst = appendMember(dst, ",", m.name, m.value)
		}
	}
	if c := s.CacheAffinity; c != nil {
		dst = appendMember(append(dst, `,"cacheAffinity":`...), "{", "key", c.Key)
		if c.Nodes != 0 {
			dst = strconv.AppendInt(append(dst, `,"nodes":`...), int64(c.Nodes), 10)
		}
		if c.Set != "" {
			dst = appendMember(dst, ",", "set", c.Set)
		}
		dst = append(dst, '}')
	}
	dst = appendNames(dst, "notCopied", s.NotCopied)
	return append(dst, '}')
}

func appendMember(dst []byte, before, name, value string) []byte {
	dst = append(dst, before...)
	dst = patch.AppendString(dst, name)
	dst = append(dst, ':')
	return patch.AppendString(dst, value)
}

func appendNames(dst []byte, name string, values []string) []byte {
	if len(values) == 0 {
		return dst
	}
	dst = append(dst, ',')
	dst = patch.AppendString(dst, name)
	dst = append(dst, ':')
	before := byte('[')
	for _, value := range values {
		dst = append(dst, before)
		dst = patch.AppendString(dst, value)
		before = ','
	}
	return append(dst, ']')
}
