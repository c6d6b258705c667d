package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingcorev1 "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// Scheduling is what is added for scheduling, and the nodes that match now.
type Scheduling struct {
	// Tolerations and NodeSelector are what is added. NodeAffinity is true if node affinity is added.
	Tolerations  []corev1.Toleration `json:"tolerations,omitempty"`
	NodeSelector map[string]string   `json:"nodeSelector,omitempty"`
	NodeAffinity bool                `json:"nodeAffinity,omitempty"`
	// Nodes is nil if nodes cannot be read.
	Nodes *Nodes `json:"nodes,omitempty"`
	// ReadyEngines are the names of the engine's pods that are ready, nil if they cannot be read.
	ReadyEngines []string `json:"readyEngines,omitempty"`
	// EngineOnNode is true if the pod needs the engine of its own node.
	EngineOnNode bool `json:"engineOnNode,omitempty"`
	// EngineInPod is true if the pod has an engine of its own, which starts with it.
	EngineInPod bool `json:"engineInPod,omitempty"`
	// CacheAffinity is how the pod is placed by the cache of its project; nil where the policy does not do so.
	CacheAffinity *CacheAffinity `json:"cacheAffinity,omitempty"`
	// Problem says why the engine's pods are not known.
	Problem string `json:"problem,omitempty"`
}

// Nodes are the nodes that the pod could be scheduled to by its node selection and tolerations, regardless of their free
// resources.
type Nodes struct {
	Total    int      `json:"total"`
	Matching []string `json:"matching,omitempty"`
	// WithEngine are those that have a ready engine; set only if the pod needs the one of its own node.
	WithEngine []string `json:"withEngine,omitempty"`
	// Left are the other nodes, with the reasons.
	Left []string `json:"left,omitempty"`
}

// podFields are the fields that scheduling depends on. A pod's spec and legacy ARC's RunnerSpec have them alike.
type podFields struct {
	Spec struct {
		NodeName     string              `json:"nodeName"`
		NodeSelector map[string]string   `json:"nodeSelector"`
		Affinity     *corev1.Affinity    `json:"affinity"`
		Tolerations  []corev1.Toleration `json:"tolerations"`
	} `json:"spec"`
}

// schedulingFieldNames are the names of podFields' fields.
var schedulingFieldNames = []string{"nodeName", "nodeSelector", "affinity", "tolerations"}

// schedulingFields returns a pod with nothing but the fields that scheduling depends on: the rest of a large pod takes far longer to
// patch than they do.
func schedulingFields(pod rawjson.Value) []byte {
	spec := map[string]json.RawMessage{}
	for _, name := range schedulingFieldNames {
		if value := pod.Get("spec").Get(name); value.IsSet() {
			spec[name] = json.RawMessage(value.Text())
		}
	}
	text, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		panic(err) // the pod is valid JSON
	}
	return text
}

// schedulingOperations returns the operations on a pod that add to these fields.
func schedulingOperations(all []patch.Operation) []patch.Operation {
	var operations []patch.Operation
	for _, o := range all {
		below, _ := strings.CutPrefix(o.Path, "/spec/")
		if name, _, _ := strings.Cut(below, "/"); slices.Contains(schedulingFieldNames, name) {
			operations = append(operations, o)
		}
	}
	return operations
}

func (j *job) scheduling(pod rawjson.Value) *Scheduling {
	var before, after podFields
	text := schedulingFields(pod)
	patched, err := patch.Apply(text, schedulingOperations(j.plan.Operations))
	if err != nil || json.Unmarshal(text, &before) != nil || json.Unmarshal(patched, &after) != nil {
		return nil // a field of a type that decisions do not read
	}
	s := &Scheduling{NodeSelector: map[string]string{}, NodeAffinity: !reflect.DeepEqual(before.Spec.Affinity, after.Spec.Affinity)}
	for _, t := range after.Spec.Tolerations {
		if !slices.ContainsFunc(before.Spec.Tolerations, func(own corev1.Toleration) bool { return reflect.DeepEqual(own, t) }) {
			s.Tolerations = append(s.Tolerations, t)
		}
	}
	for key, value := range after.Spec.NodeSelector {
		if _, own := before.Spec.NodeSelector[key]; !own {
			s.NodeSelector[key] = value
		}
	}
	for _, t := range j.Transports {
		s.EngineOnNode = s.EngineOnNode || t.Taken && t.NodeLocal
		s.EngineInPod = s.EngineInPod || t.Taken && t.Transport == config.TransportSidecar
	}
	var engineNodes map[string]bool
	if !s.EngineInPod {
		engineNodes = j.readyEngines(s)
	}
	j.matchNodes(s, &after, engineNodes)
	s.CacheAffinity = j.cacheAffinity(engineNodes)
	return s
}

// readyEngines fills in the engine's pods, and returns the nodes that have a ready one.
func (j *job) readyEngines(s *Scheduling) map[string]bool {
	at := j.trace.Engine
	if at.Workload == "" {
		s.Problem = "no workload that runs one is known"
		return nil
	}
	if j.Engines != nil {
		s.Problem = "the manifests of an engine do not say"
		return nil
	}
	pods, err := j.engines.Pods(at.Namespace, at.Workload)
	if err != nil {
		s.Problem = err.Error()
		return nil
	}
	nodes := map[string]bool{}
	for i := range pods {
		if pod := &pods[i]; cluster.IsReady(pod) && pod.DeletionTimestamp == nil {
			s.ReadyEngines = append(s.ReadyEngines, pod.Name)
			nodes[pod.Spec.NodeName] = true
		}
	}
	slices.Sort(s.ReadyEngines)
	return nodes
}

func (j *job) matchNodes(s *Scheduling, pod *podFields, engineNodes map[string]bool) {
	var list corev1.NodeList
	if err := j.Reader.List(j.ctx, &list); err != nil {
		j.unreadable("the nodes", err)
		return
	}
	if len(list.Items) == 0 && j.Offline {
		return
	}
	s.Nodes = &Nodes{Total: len(list.Items)}
	slices.SortFunc(list.Items, func(a, b corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list.Items {
		node := &list.Items[i]
		if because := left(node, pod); because != "" {
			s.Nodes.Left = append(s.Nodes.Left, node.Name+": "+because)
			continue
		}
		s.Nodes.Matching = append(s.Nodes.Matching, node.Name)
		if s.EngineOnNode && engineNodes[node.Name] {
			s.Nodes.WithEngine = append(s.Nodes.WithEngine, node.Name)
		}
	}
}

// left returns why the scheduler would not choose a node, or "" if nothing known about the pod excludes it.
func left(node *corev1.Node, pod *podFields) string {
	if name := pod.Spec.NodeName; name != "" && name != node.Name {
		return "the pod names the node " + name
	}
	match, err := nodeaffinity.NewRequiredNodeAffinity(pod.Spec.NodeSelector, pod.Spec.Affinity).Match(node)
	if err != nil {
		return err.Error()
	}
	if !match {
		return "it does not match the pod's node selection"
	}
	keepsOut := func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}
	taint, untolerated := schedulingcorev1.FindMatchingUntoleratedTaint(
		klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, keepsOut, true)
	if untolerated {
		return fmt.Sprintf("the pod does not tolerate its taint %s", taint.ToString())
	}
	return ""
}
