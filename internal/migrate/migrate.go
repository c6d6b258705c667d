// Package migrate takes the hand-wiring to a Dagger Engine out of manifests, and proves by inject's decision what becomes of the
// pods that were wired by hand. It writes no files.
package migrate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// Options are what decisions depend on.
type Options struct {
	// Namespace is that of objects which name none; empty for default.
	Namespace string
	// Labels and Annotations are those of the namespaces.
	Labels, Annotations map[string]string
	// Cluster is the cluster's policy, and NamespacePolicy the one of the namespaces; nil for none.
	Cluster, NamespacePolicy *config.Documents
	// Engines returns the engines of the cluster, for pods in a namespace; nil if none are known.
	Engines func(namespace string) inject.Engines
	// Facts are what is known of the cluster.
	Facts inject.Cluster
	// Version is this program's.
	Version string
}

// Input is one file.
type Input struct {
	Name string
	Text []byte
}

// Outcome is what a proof says.
type Outcome string

// The outcomes of workloads, the worst last.
const (
	// NotWired is a workload that nothing of a hand-wiring was found in. It is left alone.
	NotWired Outcome = "not_wired"
	// Equal is one whose injected pods are what they were.
	Equal Outcome = "equal"
	// Different is one whose injected pods differ in something that is named.
	Different Outcome = "different"
	// Cannot is one in which something is left for a person to do.
	Cannot Outcome = "cannot"
)

// Removed is a part of the hand-wiring.
type Removed struct {
	What string `json:"what"`
	Line int    `json:"line"`
}

// Workload is what becomes of one workload.
type Workload struct {
	// Name is its kind, namespace and name.
	Name string `json:"name"`
	// Outcome is not_wired, equal, different or cannot.
	Outcome Outcome `json:"outcome"`
	// Removed is what was taken out, and Added what was written.
	Removed []Removed `json:"removed,omitempty"`
	Added   []string  `json:"added,omitempty"`
	// Differences are between the pod as it was and the pod that is injected.
	Differences []Difference `json:"differences,omitempty"`
	// Gains are what the pod has in addition.
	Gains []string `json:"gains,omitempty"`
	// Left needs a person; Notes do not.
	Left  []string `json:"left,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

// File is what becomes of one file.
type File struct {
	Name      string     `json:"name"`
	Workloads []Workload `json:"workloads,omitempty"`
	// Others are objects that are left alone, since no pods are made from them or their kind is not known.
	Others []string `json:"others,omitempty"`
	// Before and After are the file's content.
	Before []byte `json:"-"`
	After  []byte `json:"-"`
}

// Report is what becomes of all files.
type Report struct {
	Files []File `json:"files"`
	// Policies are those that namespaces need beyond what discovery reads.
	Policies []Policy `json:"policies,omitempty"`
}

// Outcome is the worst of all workloads'.
func (r *Report) Outcome() Outcome {
	order := []Outcome{NotWired, Equal, Different, Cannot}
	worst := 0
	for _, f := range r.Files {
		for _, w := range f.Workloads {
			worst = max(worst, slices.Index(order, w.Outcome))
		}
	}
	return order[worst]
}

// Run migrates files. The error joins everything that is wrong with the input, and then there is no report.
func Run(inputs []Input, o Options) (*Report, error) {
	m := &migration{options: o, compiled: map[string]*inject.Policies{}}
	var jobs []*job
	var errs []error
	workloads := 0
	for _, in := range inputs {
		j, err := m.read(in)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		jobs = append(jobs, j)
		for _, d := range j.documents {
			workloads += len(d.tasks)
		}
	}
	if len(errs) == 0 && workloads == 0 {
		errs = append(errs, fmt.Errorf("%s: nothing in it makes pods that migrate knows: %s", inputs[0].Name, jobs[0].othersText()))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m.finish(jobs)
}

// finish edits the files and proves what becomes of them. A workload that turns out not to be injected is left as it is, and
// then the others are edited anew.
func (m *migration) finish(jobs []*job) (*Report, error) {
	for _, j := range jobs {
		j.check()
	}
	for {
		m.settlePolicies(jobs)
		report, again := &Report{}, false
		for _, j := range jobs {
			if err := j.edit(); err != nil {
				return nil, err
			}
			f, failed, err := m.prove(j)
			if err != nil {
				return nil, err
			}
			report.Files, again = append(report.Files, *f), again || failed
		}
		if again {
			continue
		}
		for _, namespace := range sortedNames(m.policies) {
			report.Policies = append(report.Policies, *m.policies[namespace])
		}
		return report, nil
	}
}

// migration is one run.
type migration struct {
	options  Options
	policies map[string]*Policy // by namespace
	compiled map[string]*inject.Policies
}

// job is one file on its way.
type job struct {
	name      string
	before    []byte
	after     []byte
	documents []*part
}

// part is one document of a file.
type part struct {
	document
	found
	tasks []*task
}

// task is one workload on its way.
type task struct {
	*workload
	wiring *wiring
	// annotations are written beside the label.
	annotations map[string]string
	// policy is the one that its namespace needs for it; nil for none.
	policy *Policy
	// cannot says why the workload is left as it is.
	cannot string
	result Workload
}

func (t *task) migrates() bool { return t.cannot == "" && !t.wiring.isEmpty() }
