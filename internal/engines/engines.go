// Package engines reports on the engines of a namespace what an upgrade from one to another needs to know: which are ready,
// which one new pods get, and which are still used.
package engines

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Report is the engines of some namespaces.
type Report struct {
	Engines []Engine `json:"engines"`
	// PodsUnknown says why it is not known which pods use them; empty if it is known.
	PodsUnknown string `json:"podsUnknown,omitempty"`
	// Conclusions are sentences that say which engines can go, and which are still used.
	Conclusions []string `json:"conclusions,omitempty"`
}

// Engine is an engine and its use.
type Engine struct {
	*engine.Discovered
	// Transports are the transports by which pods can reach it.
	Transports []config.Transport `json:"transports"`
	// Default is true if the engine is given to a pod that asks for no particular engine and prefers no nodes. Because says
	// why, or why not.
	Default bool   `json:"default"`
	Because string `json:"because"`
	// Pods counts the pods that were given it, by their status annotation; nil if that is not known.
	Pods *Pods `json:"pods,omitempty"`
}

// Pods counts pods that were given an engine and have not ended.
type Pods struct {
	Running int `json:"running"`
	Pending int `json:"pending"`
}

// Usage counts the pods that were given each engine, by its workload as Kind namespace/name.
type Usage map[string]*Pods

// Used counts the pods of all namespaces that a reader may list.
func Used(ctx context.Context, r client.Reader) (Usage, error) {
	var pods corev1.PodList
	// With this version, the API server answers from its cache, so that the list may be repeated every few seconds.
	cached := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}
	if err := r.List(ctx, &pods, cached); err != nil {
		return nil, err
	}
	used := Usage{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		var status inject.Status
		if json.Unmarshal([]byte(pod.Annotations[inject.AnnotationStatus]), &status) != nil || status.ReadFrom == "" {
			continue
		}
		count := used[status.ReadFrom]
		if count == nil {
			count = &Pods{}
			used[status.ReadFrom] = count
		}
		switch pod.Status.Phase {
		case corev1.PodRunning:
			count.Running++
		case corev1.PodPending, "":
			count.Pending++
		}
	}
	return used, nil
}

// Of reports on the engines of one namespace under the cluster's policy documents; nil stands for an empty policy. The usage
// is nil if it is not known.
func Of(found *engine.Found, documents *config.Documents, used Usage) (*Report, error) {
	if documents == nil {
		documents = config.FromFile("none", []byte("apiVersion: "+config.APIVersion+"\nkind: "+config.Kind+"\n"), config.OriginCluster)
	}
	trace, plan, err := decideOnAny(found, documents)
	if err != nil {
		return nil, err
	}
	report := &Report{Engines: []Engine{}}
	for i, d := range found.Engines {
		e := Engine{Discovered: d, Transports: transports(d)}
		switch {
		case i < len(trace.Engines):
			e.Default, e.Because = trace.Engines[i].Taken, trace.Engines[i].Because
		case plan.Reason.Class() == inject.ClassInjected:
			e.Default, e.Because = true, "the only one"
		default:
			e.Because = plan.Message()
			if plan.Detail != "" {
				e.Because = plan.Detail
			}
		}
		if used != nil {
			e.Pods = &Pods{}
			if count := used[d.Workload.String()]; count != nil {
				*e.Pods = *count
			}
		}
		report.Engines = append(report.Engines, e)
	}
	if found.Left > 0 {
		report.conclude("%d more engines are not considered: narrow them with engine.discover.selector, or --selector here", found.Left)
	}
	report.concludeOnUse()
	return report, nil
}

// Add adds the report on another namespace.
func (r *Report) Add(other *Report) {
	r.Engines = append(r.Engines, other.Engines...)
	r.Conclusions = append(r.Conclusions, other.Conclusions...)
}

// anyPod asks for injection and for nothing else.
const anyPod = `{"metadata":{"labels":{"` + inject.LabelInject + `":"true"}},"spec":{"containers":[{"name":"job"}]}}`

// decideOnAny chooses an engine with inject.Decide, which alone implements the choice.
func decideOnAny(found *engine.Found, documents *config.Documents) (*inject.Trace, *inject.Plan, error) {
	root, err := new(rawjson.Document).Parse(anyPod)
	if err != nil {
		return nil, nil, err
	}
	policies := inject.NewPolicies(documents, nil, func(string, labels.Selector) (*engine.Found, error) { return found, nil })
	if err := policies.Err(); err != nil {
		return nil, nil, fmt.Errorf("the cluster's policy is invalid: %w", err)
	}
	trace := &inject.Trace{}
	plan := inject.Decide(inject.Input{Pod: root, Policies: policies, Trace: trace, Namespace: inject.Namespace{
		Labels: map[string]string{inject.LabelInject: inject.InjectTrue},
	}})
	return trace, plan, nil
}

// transports returns what an engine offers if the policy names no transport.
func transports(d *engine.Discovered) []config.Transport {
	e := engine.Resolve(&config.InjectionPolicy{}, d, func(string) bool { return false })
	offered := []config.Transport{}
	for _, one := range []struct {
		transport config.Transport
		offered   bool
	}{
		{config.TransportSocket, e.Socket != nil}, {config.TransportNodeTCP, e.NodeTCP != nil},
		{config.TransportTCP, e.TCP != nil || e.Replicas != nil},
	} {
		if one.offered {
			offered = append(offered, one.transport)
		}
	}
	return offered
}

func (r *Report) conclude(format string, args ...any) {
	r.Conclusions = append(r.Conclusions, fmt.Sprintf(format, args...)+".")
}

// concludeOnUse says whether an engine can go that new pods no longer get, because it is draining or older than the one that
// they get. An engine that is left for another reason may be the next one.
func (r *Report) concludeOnUse() {
	newest, ready := "", false
	for _, e := range r.Engines {
		if e.Default {
			newest, ready = e.Version, e.Rollout.Readiness() > engine.NoneReady
		}
	}
	for _, e := range r.Engines {
		superseded := e.Draining || newest != "" && e.Version != "" && engine.CompareVersions(e.Version, newest) < 0
		if e.Default || !superseded || e.Pods == nil {
			continue
		}
		name := fmt.Sprintf("%s (%s)", e.Version, e.Workload)
		if e.Version == "" {
			name = e.Workload.String()
		}
		switch pods := e.Pods.Running + e.Pods.Pending; {
		case pods > 0:
			r.conclude("%s is still used by %d %s", name, pods, map[bool]string{true: "pod", false: "pods"}[pods == 1])
		case !ready:
			r.conclude("%s is used by no pod, but the engine that new pods get is not known to be ready: keep it", name)
		default:
			r.conclude("%s is used by no pod: it can go", name)
		}
	}
}
