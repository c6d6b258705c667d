package inject

import (
	"cmp"
	"fmt"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// pod is the read-only view of a pod that decisions are made on: positions in its raw JSON, with the kinds of everything
// that decisions read checked once.
type pod struct {
	spec                rawjson.Value
	labels, annotations rawjson.Value

	containers     []container
	initContainers []container
	volumes        rawjson.Value
	volumeIndex    map[string]volumeSource // nil until sourceOf is asked

	runtimeClass     string
	ownUsers         bool // hostUsers: false
	nodeName         string
	nodeSelector     rawjson.Value
	tolerations      rawjson.Value
	nodeAffinity     rawjson.Value
	securityContext  rawjson.Value
	podResources     rawjson.Value
	imagePullSecrets rawjson.Value
	ownedByJob       bool
	runnerSpec       bool // the spec is legacy ARC's RunnerSpec
	name, namePrefix string
	owner            string // the UID of its first owner

	cpuKnown *cpuOf    // nil until cpu is asked
	keyKnown *cacheKey // nil until cacheKey is asked

	// terms are those that nodes are required to match, once termsRead, and fits is a placement that contradicts nothing in them.
	terms     []podTerm
	termsRead bool
	fits      *placement
	// defaultContainer is what the annotation names, and hasDefault whether there is one.
	defaultContainer string
	hasDefault       bool
}

type container struct {
	index int // in its list, or inSpec
	raw   rawjson.Value
	name  string
	image string

	variables       rawjson.Value // env
	variablesInSpec bool          // they stand in the RunnerSpec that lists the container
}

// inSpec is the index of the runner container that legacy ARC makes from fields of the spec itself.
const inSpec = -1

// reader takes values out of a pod and keeps the first mismatch between what a value is and what Kubernetes has there.
type reader struct {
	base rawjson.Value
	err  error
}

func (r *reader) mismatch(v rawjson.Value, want rawjson.Kind) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: want %s, got %s", v.PathFrom(r.base), want, v.Kind())
	}
}

// typed returns the value if it is of the kind, and the zero Value if it is absent or null.
func (r *reader) typed(v rawjson.Value, want rawjson.Kind) rawjson.Value {
	if !v.IsSet() {
		return rawjson.Value{}
	}
	if v.Kind() != want {
		r.mismatch(v, want)
		return rawjson.Value{}
	}
	return v
}

func (r *reader) object(v rawjson.Value) rawjson.Value { return r.typed(v, rawjson.Object) }
func (r *reader) list(v rawjson.Value) rawjson.Value   { return r.typed(v, rawjson.Array) }

func (r *reader) str(v rawjson.Value) string {
	s, _ := r.typed(v, rawjson.String).Str()
	return s
}

// objects returns a list whose every element is an object.
func (r *reader) objects(v rawjson.Value) rawjson.Value {
	list := r.list(v)
	for _, element := range list.Elements() {
		if element.Kind() != rawjson.Object {
			r.mismatch(element, rawjson.Object)
			return rawjson.Value{}
		}
	}
	return list
}

// strings returns an object whose every member is a string.
func (r *reader) strings(v rawjson.Value) rawjson.Value {
	object := r.object(v)
	for _, member := range object.Members() {
		if member.Kind() != rawjson.String && member.IsSet() {
			r.mismatch(member, rawjson.String)
			return rawjson.Value{}
		}
	}
	return object
}

// readPod views raw, a v1 Pod or a pod template, of which runnerSpec says whether its spec is legacy ARC's RunnerSpec. The
// error names the field that is not what Kubernetes has there.
func readPod(raw rawjson.Value, runnerSpec bool) (*pod, error) {
	r := &reader{base: raw}
	if raw.Kind() != rawjson.Object {
		return nil, fmt.Errorf("want a pod, got %s", raw.Kind())
	}
	metadata := r.object(raw.Get("metadata"))
	p := &pod{
		labels:      r.strings(metadata.Get("labels")),
		annotations: r.strings(metadata.Get("annotations")),
		spec:        r.object(raw.Get("spec")),
		runnerSpec:  runnerSpec,
		name:        r.str(metadata.Get("name")),
		namePrefix:  r.str(metadata.Get("generateName")),
	}
	p.defaultContainer, p.hasDefault = p.annotation(annotationDefault)
	for _, owner := range r.objects(metadata.Get("ownerReferences")).Elements() {
		p.ownedByJob = p.ownedByJob || r.str(owner.Get("kind")) == "Job"
		p.owner = cmp.Or(p.owner, r.str(owner.Get("uid")))
	}
	p.containers = r.containers(p.spec.Get("containers"))
	if runnerSpec {
		p.readRunner(r)
	}
	p.initContainers = r.containers(p.spec.Get("initContainers"))
	p.volumes = r.objects(p.spec.Get("volumes"))
	for _, volume := range p.volumes.Elements() {
		r.str(volume.Get("name"))
	}
	p.runtimeClass = r.str(p.spec.Get("runtimeClassName"))
	hostUsers, set := r.typed(p.spec.Get("hostUsers"), rawjson.Bool).Bool()
	p.ownUsers = set && !hostUsers
	p.nodeName = r.str(p.spec.Get("nodeName"))
	p.nodeSelector = r.strings(p.spec.Get("nodeSelector"))
	p.tolerations = r.objects(p.spec.Get("tolerations"))
	p.nodeAffinity = r.object(r.object(p.spec.Get("affinity")).Get("nodeAffinity"))
	p.securityContext = r.object(p.spec.Get("securityContext"))
	p.imagePullSecrets = r.objects(p.spec.Get("imagePullSecrets"))
	if !runnerSpec {
		p.podResources = r.object(p.spec.Get("resources"))
	}
	if r.err != nil {
		return nil, r.err
	}
	if p.spec.Kind() == rawjson.Missing {
		return nil, fmt.Errorf("spec: missing")
	}
	return p, nil
}

// readRunner reads the runner container of a RunnerSpec: the controller makes it from fields of the spec where the spec
// lists no containers, and gives the one that is listed the spec's variables where it has none of its own
// (actions.summerwind.net, runner_controller.go, newRunnerPodWithContainerMode).
func (p *pod) readRunner(r *reader) {
	spec := r.container(inSpec, p.spec)
	if len(p.containers) == 0 {
		spec.name = "runner"
		p.containers = []container{spec}
		return
	}
	if runner := p.containerNamed("runner"); runner != nil && runner.variables.Len() == 0 {
		runner.variables, runner.variablesInSpec = spec.variables, true
	}
}

func (r *reader) containers(v rawjson.Value) []container {
	list := r.objects(v)
	containers := make([]container, 0, list.Len())
	for i, c := range list.Elements() {
		containers = append(containers, r.container(i, c))
	}
	return containers
}

func (r *reader) container(index int, c rawjson.Value) container {
	for _, mount := range r.objects(c.Get("volumeMounts")).Elements() {
		r.str(mount.Get("name"))
		r.str(mount.Get("mountPath"))
	}
	for _, e := range r.objects(c.Get("env")).Elements() {
		r.str(e.Get("name"))
		r.str(e.Get("value"))
	}
	r.object(c.Get("securityContext"))
	for _, device := range r.objects(c.Get("volumeDevices")).Elements() {
		r.str(device.Get("devicePath"))
	}
	return container{index: index, raw: c, name: r.str(c.Get("name")), image: r.str(c.Get("image")), variables: c.Get("env")}
}

func (p *pod) label(name string) (string, bool) { return p.labels.Get(name).Str() }

func (p *pod) hasLabel(name string) bool {
	_, ok := p.label(name)
	return ok
}

func (p *pod) annotation(name string) (string, bool) { return p.annotations.Get(name).Str() }

// volumeNamed returns the volume of that name, or the zero Value.
func (p *pod) volumeNamed(name string) rawjson.Value {
	for _, v := range p.volumes.Elements() {
		if have, _ := v.Get("name").Str(); have == name {
			return v
		}
	}
	return rawjson.Value{}
}

// containerNamed returns the regular container of that name, nil where there is none.
func (p *pod) containerNamed(name string) *container { return named(p.containers, name) }

// initContainerNamed returns the init container of that name, nil where there is none.
func (p *pod) initContainerNamed(name string) *container { return named(p.initContainers, name) }

func named(containers []container, name string) *container {
	for i := range containers {
		if containers[i].name == name {
			return &containers[i]
		}
	}
	return nil
}

// env returns the last variable of that name in the container, the one that counts, or the zero Value.
func (c *container) env(name string) (found rawjson.Value) {
	for _, e := range c.variables.Elements() {
		if s, _ := e.Get("name").Str(); s == name {
			found = e
		}
	}
	return found
}

func (c *container) privileged() bool {
	yes, _ := c.raw.Get("securityContext").Get("privileged").Bool()
	return yes
}
