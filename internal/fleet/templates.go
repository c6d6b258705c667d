package fleet

import (
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// templated are the kinds of workloads whose templates are read. Those that a cluster does not have are passed over.
var templated = []schema.GroupVersionKind{
	{Group: "actions.github.com", Version: "v1alpha1", Kind: "AutoscalingRunnerSet"},
	{Group: "actions.summerwind.dev", Version: "v1alpha1", Kind: "RunnerDeployment"},
	{Group: "actions.summerwind.dev", Version: "v1alpha1", Kind: "RunnerSet"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
}

// compareTemplates looks at workloads that ask and have no running pod: what their next pod gets. Without another policy there is
// nothing to compare, and a row only where the pod could not be injected.
func (r *run) compareTemplates() {
	running := map[string]bool{}
	for _, g := range r.groups {
		running[g.namespace+" "+g.workload] = true
	}
	for _, kind := range templated {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := r.Reader.List(r.ctx, &list, client.InNamespace(r.Namespace))
		switch {
		case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
			continue
		case err != nil:
			r.report.Unreadable = append(r.report.Unreadable, fmt.Sprintf("the %ss: %v", kind.Kind, err))
			continue
		}
		for i := range list.Items {
			object := &list.Items[i]
			workload := kind.Kind + " " + object.GetName()
			if !running[object.GetNamespace()+" "+workload] {
				r.compareTemplate(object, kind.Kind, workload)
			}
		}
	}
}

func (r *run) compareTemplate(object *unstructured.Unstructured, kind, workload string) {
	text, err := json.Marshal(object.Object)
	if err != nil {
		return
	}
	root, err := new(rawjson.Document).Parse(string(text))
	if err != nil {
		return
	}
	now, found := r.Now.Object(r.ctx, root, kind, object.GetNamespace())
	if !found || now.AskedBy == inject.AskedByNobody || now.Outcome == explain.OutcomeDoesNotApply {
		return
	}
	c := compared{row: Row{Namespace: object.GetNamespace(), Workload: workload}, then: now, now: now}
	if r.Proposed != nil {
		c.now, _ = r.Proposed.Object(r.ctx, root, kind, object.GetNamespace())
	} else if now.Outcome == explain.OutcomeInjected {
		return
	}
	r.add(c)
}
