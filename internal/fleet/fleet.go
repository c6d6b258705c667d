// Package fleet compares what pods got when they were created with what they would get now, or what they would get under another
// policy, for all that asks for injection.
package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// Options say what is compared.
type Options struct {
	// Reader reads the cluster.
	Reader client.Reader
	// Now explains what pods get by the cluster as it is.
	Now *explain.Explainer
	// Proposed explains what they would get under another policy. If it is nil, running pods are compared with Now; otherwise what
	// Now says is compared with Proposed.
	Proposed *explain.Explainer
	// Namespace is the namespace that is compared; empty for all.
	Namespace string
}

// State is how one kind of pods compares.
type State string

// The states.
const (
	Same     State = "same"
	Differs  State = "differs"
	Gained   State = "gained"    // they would be injected, and are not
	Lost     State = "lost"      // they are injected, and would not be
	Without  State = "without"   // they are not injected, and would not be
	NotKnown State = "not known" // what is needed to decide may not be read
)

// Row is the pods of one workload that have got the same, or the pods that a workload or a namespace would create.
type Row struct {
	Namespace string `json:"namespace"`
	// Workload is what creates the pods, as Kind name.
	Workload string `json:"workload"`
	// Pods is how many run, and Example the name of one; 0 for those of a template.
	Pods    int    `json:"pods"`
	Example string `json:"example,omitempty"`
	State   State  `json:"state"`
	// Then says what pods have, and Now what new ones would get.
	Then string `json:"then,omitempty"`
	Now  string `json:"now"`
	// Differs are the members of the status annotation that would be others.
	Differs []explain.Difference `json:"differs,omitempty"`
}

// Report is the result of a comparison.
type Report struct {
	Rows []Row `json:"rows"`
	// Unreadable are the sentences about what could not be read.
	Unreadable []string `json:"unreadable,omitempty"`
}

// Changed reports whether any row is other than Same or Without.
func (r *Report) Changed() bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool { return row.State != Same && row.State != Without })
}

// compared is a subject and two explanations of it. The first is nil where running pods are compared.
type compared struct {
	row        Row
	then, now  *explain.Explanation
	annotation string // the status annotation of running pods
}

// Compare makes the report.
func Compare(ctx context.Context, o Options) (*Report, error) {
	r := &run{Options: o, ctx: ctx, report: &Report{Rows: []Row{}}}
	if err := r.readPods(); err != nil {
		return nil, err
	}
	for _, g := range r.groups {
		r.compareGroup(g)
	}
	r.compareTemplates()
	r.compareNamespaces()
	slices.SortStableFunc(r.report.Rows, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Workload, b.Workload))
	})
	slices.Sort(r.report.Unreadable)
	r.report.Unreadable = slices.Compact(r.report.Unreadable)
	return r.report, nil
}

// run is one comparison in progress.
type run struct {
	Options
	ctx    context.Context
	report *Report
	groups []*group
}

func (r *run) unreadable(e *explain.Explanation) {
	if e != nil {
		r.report.Unreadable = append(r.report.Unreadable, e.Unreadable...)
	}
}

// compareGroup compares running pods. If all that it tries have ended meanwhile, there is nothing to compare.
func (r *run) compareGroup(g *group) {
	row := Row{Namespace: g.namespace, Workload: g.workload, Pods: g.pods}
	var now *explain.Explanation
	for _, name := range g.examples {
		var err error
		if now, err = r.Now.Pod(r.ctx, g.namespace, name); err == nil {
			row.Example = name
			break
		}
		if !apierrors.IsNotFound(err) {
			r.report.Unreadable = append(r.report.Unreadable, err.Error())
			return
		}
	}
	if now == nil || now.Outcome == explain.OutcomeDoesNotApply && g.annotation == "" {
		return // or it never asked
	}
	c := compared{row: row, now: now, annotation: g.annotation}
	if r.Proposed != nil {
		proposed, err := r.Proposed.Pod(r.ctx, g.namespace, row.Example)
		if err != nil {
			r.report.Unreadable = append(r.report.Unreadable, err.Error())
			return
		}
		c.then, c.now = now, proposed
	}
	r.add(c)
}

// add settles a comparison.
func (r *run) add(c compared) {
	r.unreadable(c.then)
	r.unreadable(c.now)
	var then []byte
	had := c.annotation != ""
	if then = []byte(c.annotation); c.then != nil {
		had = c.then.Outcome == explain.OutcomeInjected
		then, _ = json.Marshal(c.then.Status)
		c.row.Then = c.then.Message
	}
	if had {
		c.row.Then = summary(then)
	} else if c.then == nil {
		c.row.Then = "not injected"
	}
	gets := c.now.Outcome == explain.OutcomeInjected
	c.row.Now = c.now.Message
	if gets {
		status, _ := json.Marshal(c.now.Status)
		c.row.Now = summary(status)
		if had {
			c.row.Differs = append(differences(then, status, c.then != nil), c.placement()...)
		}
	}
	switch {
	case c.now.Outcome == explain.OutcomeUnknown:
		c.row.State = NotKnown
	case had && gets && len(c.row.Differs) == 0:
		c.row.State = Same
	case had && gets:
		c.row.State = Differs
	case had:
		c.row.State = Lost
	case gets:
		c.row.State = Gained
	default:
		c.row.State = Without
	}
	r.report.Rows = append(r.report.Rows, c.row)
}

// placement returns the difference if only one of two policies places pods by cache. The pods of a template have their project's labels
// from their controller, so that the status of either may say nothing of it yet.
func (c *compared) placement() []explain.Difference {
	if c.then == nil || c.then.Status.CacheAffinity != nil || c.now.Status.CacheAffinity != nil {
		return nil
	}
	said := func(e *explain.Explanation) json.RawMessage {
		if e.Scheduling == nil || e.Scheduling.CacheAffinity == nil {
			return nil
		}
		text, _ := json.Marshal("on: " + e.Scheduling.CacheAffinity.Because)
		return text
	}
	if then, now := said(c.then), said(c.now); (then == nil) != (now == nil) {
		return []explain.Difference{{Member: "cacheAffinity", Then: then, Now: now}}
	}
	return nil
}

// differences returns the members that differ. Where a fleet changes, the set of nodes does, which is no difference; under another
// policy, the policy's own identity always differs.
func differences(then, now []byte, otherPolicy bool) []explain.Difference {
	all, err := explain.Differences(then, now)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(d explain.Difference) bool {
		return d.Member == "cacheAffinity" && d.Then != nil && d.Now != nil || otherPolicy && d.Member == "policy"
	})
}

// summary says in a few words what a status annotation records.
func summary(annotation []byte) string {
	var s inject.Status
	if json.Unmarshal(annotation, &s) != nil {
		return "an annotation that cannot be read"
	}
	text := "injected by " + cmp.Or(s.Transport, "hand")
	if s.CLIImage != "" {
		text += ", dagger of " + s.CLIImage
	}
	return text
}

// compareNamespaces compares what a CI job gets in each namespace that asks, which only matters for a policy that is not in force.
func (r *run) compareNamespaces() {
	if r.Proposed == nil {
		return
	}
	names := []string{r.Namespace}
	if r.Namespace == "" {
		var list corev1.NamespaceList
		if err := r.Reader.List(r.ctx, &list, client.MatchingLabels{inject.LabelInject: inject.InjectTrue}); err != nil {
			r.report.Unreadable = append(r.report.Unreadable, fmt.Sprintf("the namespaces that ask for injection: %v", err))
			return
		}
		names = nil
		for _, ns := range list.Items {
			names = append(names, ns.Name)
		}
	}
	for _, name := range names {
		now, err := r.Now.Namespace(r.ctx, name)
		if err != nil {
			r.report.Unreadable = append(r.report.Unreadable, err.Error())
			continue
		}
		proposed, err := r.Proposed.Namespace(r.ctx, name)
		if err != nil {
			r.report.Unreadable = append(r.report.Unreadable, err.Error())
			continue
		}
		then, would := now.Labelled, proposed.Labelled
		if now.Label == inject.InjectTrue {
			then, would = now.Unlabelled, proposed.Unlabelled
		}
		r.add(compared{row: Row{Namespace: name, Workload: would.Subject}, then: then, now: would})
	}
}
