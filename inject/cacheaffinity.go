package inject

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
)

// cacheAffinity is a policy's scheduling.cacheAffinity, compiled.
type cacheAffinity struct {
	key     config.CacheKey
	weights []int32 // of the nodes of a project's order
}

// newCacheAffinity returns nil where it is off.
func newCacheAffinity(c *config.CacheAffinity) *cacheAffinity {
	if !c.Enabled {
		return nil
	}
	a := &cacheAffinity{key: c.Key, weights: make([]int32, c.Nodes)}
	for i := range a.weights {
		a.weights[i] = c.Weight - (c.Weight-c.LastWeight)*int32(i)/max(1, c.Nodes-1)
	}
	return a
}

// A set remembers as many members of an order as a policy may prefer.
const _ = uint(rendezvous.Most - config.MostCacheNodes)

// maxNodePreference is the size of one preference at most, with a node's name of 253 bytes.
const maxNodePreference = 400

// cacheNodes returns how many nodes the policy prefers at most.
func (policy *Policy) cacheNodes() int {
	if policy.cacheAffinity == nil {
		return 0
	}
	return len(policy.cacheAffinity.weights)
}

// CacheAffinityResult is what became of placement by cache for one pod.
type CacheAffinityResult string

// The results. CacheAffinityOff is that of pods whose policy does not turn it on, or that are not injected.
const (
	CacheAffinityOff          CacheAffinityResult = ""
	CacheAffinityPreferred    CacheAffinityResult = "preferred"      // the pod prefers its project's nodes
	CacheAffinityReplica      CacheAffinityResult = "replica"        // the pod has the address of its project's engine
	CacheAffinityKept         CacheAffinityResult = "kept"           // the pod prefers nodes by their names already, or has an engine
	CacheAffinityNoKey        CacheAffinityResult = "no_key"         // nothing says which project the pod belongs to
	CacheAffinityFewNodes     CacheAffinityResult = "few_nodes"      // fewer than two nodes have an engine that is known to be ready
	CacheAffinityNodeName     CacheAffinityResult = "node_name"      // the pod names its node
	CacheAffinityNotNodeLocal CacheAffinityResult = "not_node_local" // the engine is not the node's
	CacheAffinityNoReplica    CacheAffinityResult = "no_replica"     // no replica of the engine is known to be ready
)

// CacheAffinityResults are all but CacheAffinityOff.
var CacheAffinityResults = []CacheAffinityResult{CacheAffinityPreferred, CacheAffinityReplica, CacheAffinityKept, CacheAffinityNoKey,
	CacheAffinityFewNodes, CacheAffinityNodeName, CacheAffinityNotNodeLocal, CacheAffinityNoReplica}

var cacheAffinitySentences = map[CacheAffinityResult]string{
	CacheAffinityPreferred:    "the pod prefers the nodes that have its project's cache",
	CacheAffinityReplica:      "the pod has the address of the engine that has its project's cache",
	CacheAffinityKept:         "the pod prefers nodes by their names already, or is connected to an engine already",
	CacheAffinityNoKey:        "nothing on the pod says which project it belongs to",
	CacheAffinityFewNodes:     "fewer than two nodes are known to have a ready engine",
	CacheAffinityNodeName:     "the pod names its node",
	CacheAffinityNoReplica:    "no replica of the engine is known to be ready",
	CacheAffinityNotNodeLocal: "the engine is not that of the pod's node, and has no replicas with addresses of their own",
}

// Sentence says the result in words, without a capital and a full stop.
func (r CacheAffinityResult) Sentence() string { return cacheAffinitySentences[r] }

// CacheOrder returns the members of a set in the order of a project, by its key, for pods of a namespace.
func CacheOrder(set *rendezvous.Set, namespace, key string) []string {
	return set.Order(cacheKey{text: key}.in(namespace))
}

// CacheAffinityTrace says how a pod was placed by cache, or why it was not.
type CacheAffinityTrace struct {
	Result CacheAffinityResult `json:"result"`
	// Key is the project's, and KeyFrom where it was read; both are empty without one.
	Key     string `json:"key,omitempty"`
	KeyFrom string `json:"keyFrom,omitempty"`
	// First are the nodes that the pod prefers, or its replica, in the project's order, and Of how many there are.
	First []string `json:"first,omitempty"`
	Of    int      `json:"of,omitempty"`
	// Set identifies all of these.
	Set string `json:"set,omitempty"`
	// Beside is how many preferences of nodes the pod has besides: the scheduler weighs all of them together.
	Beside int `json:"beside,omitempty"`
}

// CacheAffinityStatus is what the status annotation records of placement by cache.
type CacheAffinityStatus struct {
	// Key is the project's.
	Key string `json:"key"`
	// Nodes is how many nodes are preferred; 0 where the pod has one of several replicas.
	Nodes int `json:"nodes,omitempty"`
	// Set identifies the nodes or replicas among which the project has its order. It is empty if another call, which knew others,
	// added the preferences.
	Set string `json:"set,omitempty"`
}

// cacheKey returns the key of the pod, read once.
func (p *pod) cacheKey(system System, wanted config.CacheKey) cacheKey {
	if p.keyKnown == nil {
		key := readCacheKey(p, system, wanted)
		p.keyKnown = &key
	}
	return *p.keyKnown
}

// projectsReplica returns the first ready replica of an engine in the project's order. It returns false where placement by cache is
// off, no replica is known to be ready, or the pod has no key.
func (c *choice) projectsReplica(e *compiledEngine) (int32, bool) {
	if c.policy.cacheAffinity == nil {
		return 0, false
	}
	key := c.pod.cacheKey(c.system, c.policy.cacheAffinity.key)
	if key.text == "" {
		return 0, false
	}
	_, n, ok := firstReplica(e.replicas, c.in.Ready[e.Workload].Names, key.in(c.in.Namespace.Name))
	return n, ok
}

// firstReplica returns the first of the ready pods, in a key's order, that is one of the wanted replicas.
func firstReplica(replicas *engine.Replicas, ready *rendezvous.Set, key string) (pod string, n int32, ok bool) {
	for _, pod := range ready.First(key, rendezvous.Most) {
		if n, ok := replicas.Numbered(pod); ok {
			return pod, n, true
		}
	}
	return "", 0, false
}

// preferCache prefers the nodes that have the cache of the pod's project.
func (i *injection) preferCache(spec *patch.Cursor) *CacheAffinityTrace {
	a := i.policy.cacheAffinity
	if a == nil {
		return nil
	}
	t := &CacheAffinityTrace{}
	ready := i.ready[i.engine.Workload]
	replica := i.connection.transport == config.TransportTCP && i.engine.replicas != nil
	among := ready.Nodes
	if replica {
		among = ready.Names
	}
	if t.Result = i.noCache(replica, among); t.Result != "" {
		return t
	}
	key := i.pod.cacheKey(i.system, a.key)
	if t.Key, t.KeyFrom = key.text, key.from; key.text == "" {
		t.Result = CacheAffinityNoKey
		return t
	}
	t.Set, t.Of = among.ID(), among.Len()
	if replica {
		pod, n, ok := firstReplica(i.engine.replicas, among, key.in(i.namespace.Name))
		if t.Result = CacheAffinityKept; !ok {
			t.Result = CacheAffinityNoReplica
		} else if i.connection.host == tcpScheme+i.engine.replicas.Address(n) {
			t.First, t.Result = []string{pod}, CacheAffinityReplica
			i.status.CacheAffinity = &CacheAffinityStatus{Key: key.text, Set: t.Set}
		}
		return t
	}
	t.First = among.First(key.in(i.namespace.Name), len(a.weights))
	i.status.CacheAffinity = i.preferNodes(t, spec)
	return t
}

// noCache returns why the pod cannot be placed by cache, whatever its key is; empty where it can.
func (i *injection) noCache(replica bool, among *rendezvous.Set) CacheAffinityResult {
	switch {
	case replica && among.Len() == 0:
		return CacheAffinityNoReplica
	case replica:
		return ""
	case !i.connection.nodeLocal:
		return CacheAffinityNotNodeLocal
	case i.pod.nodeName != "":
		return CacheAffinityNodeName
	case among.Len() < 2:
		return CacheAffinityFewNodes
	}
	return ""
}

// preferNodes appends the preferences unless the pod prefers any node by its name already: those are from an earlier call, which may
// have known other nodes, or the user's. It returns what the status says of the pod's preferences then; nil where they are not ours.
func (i *injection) preferNodes(t *CacheAffinityTrace, spec *patch.Cursor) *CacheAffinityStatus {
	weights := i.policy.cacheAffinity.weights
	named := map[string]int64{}
	for _, v := range i.pod.nodeAffinity.Get(fieldPreferred).Elements() {
		if node, weight := NamedNode(v); node != "" {
			named[node] = weight
		} else {
			t.Beside++
		}
	}
	if t.Result = CacheAffinityPreferred; len(named) > 0 {
		t.Result = CacheAffinityKept
		if !isLadder(named, weights) {
			return nil
		}
		status := &CacheAffinityStatus{Key: t.Key, Nodes: len(named)}
		if follows(named, t.First, weights) {
			status.Set = t.Set
		}
		return status
	}
	at := spec.Member("affinity").Member("nodeAffinity").Member(fieldPreferred)
	text := make([]byte, 0, len(t.First)*160)
	for n, node := range t.First {
		from := len(text)
		text = appendNodePreference(text, weights[n], node)
		at.Append(json.RawMessage(text[from:len(text):len(text)]))
	}
	return &CacheAffinityStatus{Key: t.Key, Nodes: len(t.First), Set: t.Set}
}

// isLadder reports whether the weights are the first of a ladder's, each once, as an earlier call adds them.
func isLadder(named map[string]int64, weights []int32) bool {
	if len(named) > len(weights) {
		return false
	}
	have := slices.Sorted(maps.Values(named))
	for n, weight := range have {
		if weight != int64(weights[len(have)-1-n]) {
			return false
		}
	}
	return true
}

// follows reports whether the nodes are those, with the weights of their order.
func follows(named map[string]int64, order []string, weights []int32) bool {
	for n, node := range order {
		if named[node] != int64(weights[n]) {
			return false
		}
	}
	return len(named) == len(order)
}

// appendNodePreference appends a PreferredSchedulingTerm for a node. It names the node by matchFields: the label
// kubernetes.io/hostname can differ from the node's name, and Karpenter makes a requirement of it.
func appendNodePreference(dst []byte, weight int32, node string) []byte {
	dst = append(dst, `{"weight":`...)
	dst = strconv.AppendInt(dst, int64(weight), 10)
	dst = append(dst, `,"preference":{"matchFields":[{"key":"`+metav1.ObjectNameField+`","operator":"In","values":[`...)
	dst = patch.AppendString(dst, node)
	return append(dst, `]}]}}`...)
}

// NamedNode returns the node and the weight of a PreferredSchedulingTerm that names one node and asks nothing else; an empty node for
// any other.
func NamedNode(term rawjson.Value) (node string, weight int64) {
	preference := term.Get("preference")
	fields := preference.Get("matchFields")
	if fields.Len() != 1 || preference.Get("matchExpressions").Len() > 0 {
		return "", 0
	}
	for _, r := range fields.Elements() {
		key, _ := r.Get("key").Str()
		operator, _ := r.Get("operator").Str()
		values := r.Get("values")
		if key != metav1.ObjectNameField || operator != "In" || values.Len() != 1 {
			return "", 0
		}
		for _, v := range values.Elements() {
			node, _ = v.Str()
		}
	}
	weight, _ = term.Get("weight").Int64()
	return node, weight
}
