package inject

import (
	"encoding/json"
	"strconv"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// injection is one pod's additions while they are worked out.
type injection struct {
	policy     *Policy
	engine     *compiledEngine
	pod        *pod
	namespace  *Namespace
	connection *connection
	delivery   config.Delivery
	cli        *cliDelivery // nil where there is to be none
	waitOff    string       // what decides against a wait, empty for nothing
	atUse      bool         // dagger waits when it is used, where containers have the script
	notAtUse   string       // why it does not, or not in all containers, though the policy says so
	system     System
	session    *patch.Session
	status     *Status
	stop       interruption
	ready      engine.Ready
	cache      *CacheAffinityTrace // nil where placement by cache is off

	usesCLI  bool // a container is to have the CLI
	cramped  bool // the CLI's copy has little room
	defeated defeatedContainers
	hook     *hook // nil until a container asks for it
	copies   bool  // an init container copies the CLI to an emptyDir
	launches bool  // a container has the script that runs the CLI

	pullsProgram bool // the pull secret of this program's image is in the pod
}

func newInjection(d *decision) *injection {
	i := &injection{
		policy: d.policy, engine: d.engine, connection: d.connection, pod: d.pod, namespace: &d.in.Namespace,
		waitOff: d.choices.waitOff, system: d.plan.System, stop: d.in.Interrupted, ready: d.in.Ready,
		session: patch.New(d.in.Pod, d.in.Pointer, maxAdded),
		status:  &Status{Version: d.in.Version, Policy: PolicyStatus{Source: d.policy.source, Hash: d.policy.hash}},
	}
	i.chooseDelivery(d.choices.delivery, &d.in.Cluster)
	i.chooseWhen()
	return i
}

// add journals everything that the pod is to have and does not have. An obstacle means that nothing may be done. It passes over
// each container's own lists, and over the policy's env, once for each of at most maxTargets containers.
func (i *injection) add(targets []*container) *obstacle {
	metadata := i.session.Root().Member("metadata")
	annotations := metadata.Member("annotations")
	spec := i.session.Root().Member("spec")
	for _, c := range targets {
		if i.stop.now() {
			return nil
		}
		i.addToContainer(c, spec)
	}
	if len(i.status.Containers) > 0 {
		if o := i.addToPod(spec, annotations); o != nil {
			return o
		}
	}
	i.status.write(i.pod, annotations)
	return nil
}

// addToContainer makes one container reach the engine, unless the user has wired it.
func (i *injection) addToContainer(c *container, spec *patch.Cursor) {
	vars := i.readEnv(c)
	conn, where := i.connectionFor(c)
	if because := i.wiredByHand(c, conn, where, &vars); because != "" {
		i.status.Left = append(i.status.Left, LeftContainer{c.name, because})
		return
	}
	i.status.Containers = append(i.status.Containers, c.name)
	i.defeated.note(c.name, vars.defeats)
	if i.status.Engine == "" {
		i.status.Engine = conn.host
	}
	at := spec
	if c.index != inSpec {
		at = spec.Member("containers").Element(c.index, c.raw)
	}
	env := at.Member("env")
	if c.variablesInSpec {
		env = spec.Member("env")
	}
	if !vars.runnerHost.IsSet() {
		if conn.nodeIPJSON != nil && !vars.nodeIP.IsSet() {
			env.Append(conn.nodeIPJSON)
		}
		env.Append(conn.hostJSON)
	}
	if conn.volume != "" && !where.mounted {
		at.Member("volumeMounts").Append(conn.mountJSON)
	}
	if where.because != "" {
		i.status.Moved = append(i.status.Moved, MovedMount{c.name, where.at, "as " + where.because})
	}
	if i.cli != nil && !i.addCLI(c, at, env, vars.cliBin) && i.atUse {
		i.notAtUse = "container " + c.name + " cannot have the script in which dagger waits"
	}
	i.addSELinux(c, at)
	i.handOn(c, at, env)
	for n, e := range i.policy.env {
		if !vars.extra[n] {
			env.Append(e.json)
		}
	}
}

// envVars are the variables of a container that a decision needs.
type envVars struct {
	runnerHost, nodeIP rawjson.Value
	cliBin             rawjson.Value
	defeats            defeat
	extra              []bool // by index in the policy's env: the container sets it
}

// readEnv passes over the container's environment once, however long it is.
func (i *injection) readEnv(c *container) envVars {
	vars := envVars{extra: make([]bool, len(i.policy.env))}
	for _, e := range c.variables.Elements() {
		name, _ := e.Get("name").Str()
		switch name {
		case EnvRunnerHost:
			vars.runnerHost = e
		case EnvNodeIP:
			vars.nodeIP = e
		case EnvCLIBin:
			vars.cliBin = e
		default:
			vars.defeats.read(name, e)
		}
		if n, ok := i.policy.envNamed(name); ok {
			vars.extra[n] = true
		}
	}
	return vars
}

// addToPod adds the volumes, the init containers and the placement that the injected containers need.
func (i *injection) addToPod(spec, annotations *patch.Cursor) *obstacle {
	if i.status.Transport = string(i.connection.transport); i.connection.transport != config.TransportSidecar {
		i.status.ReadFrom = i.engine.workload
	}
	i.status.CLI = string(config.DeliveryNone)
	volumes := spec.Member("volumes")
	if i.connection.volume != "" {
		if o := i.addVolume(volumes, i.connection.volume, i.connection.volumeJSON, i.connection.isVolume); o != nil {
			return o
		}
	}
	if i.connection.isSocket() {
		i.addGroup(spec)
	}
	if i.usesCLI {
		if o := i.addCLIVolume(spec, volumes, annotations); o != nil {
			return o
		}
	}
	if i.connection.transport == config.TransportSidecar {
		if o := i.addSidecar(spec, volumes); o != nil {
			return o
		}
	}
	if i.status.HookTemplate != "" {
		if o := i.addHookTemplate(volumes, annotations); o != nil {
			return o
		}
	}
	i.letEvict(annotations)
	if o := i.addWait(spec, volumes); o != nil {
		return o
	}
	where := i.policy.anywhere
	if i.connection.nodeLocal {
		where = i.engine.onNode
		if i.policy.fromEngine {
			i.status.NotCopied = i.engine.notCopied
		}
	}
	where.addTolerations(i.pod, spec)
	if o := where.addNodeSelection(i.pod, spec, i.stop); o != nil {
		return o
	}
	i.cache = i.preferCache(spec)
	return nil
}

// addVolume adds a volume unless the pod has it; a volume of that name that is something else is a conflict.
func (i *injection) addVolume(volumes *patch.Cursor, name string, add json.RawMessage, isOurs func(rawjson.Value) bool) *obstacle {
	i.status.Volumes = append(i.status.Volumes, name)
	for _, v := range i.pod.volumes.Elements() {
		if have, _ := v.Get("name").Str(); have == name {
			if !isOurs(v) {
				return conflict("a volume %s", name)
			}
			return nil
		}
	}
	volumes.Append(add)
	return nil
}

// addGroup lets every user of the pod's containers connect to the socket. fsGroup would not: it does nothing for hostPath.
func (i *injection) addGroup(spec *patch.Cursor) {
	group := i.connection.group
	for _, have := range i.pod.securityContext.Get("supplementalGroups").Elements() {
		if gid, ok := have.Int64(); ok && gid == group {
			return
		}
	}
	spec.Member("securityContext").Member("supplementalGroups").Append(strconv.AppendInt(nil, group, 10))
}

// letEvict tells the cluster autoscaler that our volumes hold nothing that must be kept: it does not drain a node with a pod that
// has an emptyDir otherwise.
func (i *injection) letEvict(annotations *patch.Cursor) {
	emptyDirs := ""
	switch sidecar := i.connection.transport == config.TransportSidecar; {
	case sidecar && i.copies:
		emptyDirs = volumeCLI + "," + volumeSocket + "," + volumeCache
	case sidecar:
		emptyDirs = volumeSocket + "," + volumeCache
	case i.copies:
		emptyDirs = volumeCLI
	default:
		return
	}
	if _, set := i.pod.annotation(AnnotationSafeToEvict); !set && len(i.pod.annotations.Text()) <= maxAnnotations {
		annotations.Member(AnnotationSafeToEvict).Set(patch.String(emptyDirs))
	}
}
