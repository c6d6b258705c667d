package migrate

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"

	"github.com/dagger-inject/dagger-inject/inject"
)

// check finds the workloads that cannot be edited, which are left as they are.
func (j *job) check() {
	for _, p := range j.documents {
		for _, t := range p.tasks {
			_, err := p.remove(slices.Sorted(maps.Keys(t.sources())))
			if err == nil {
				_, err = p.set(t.settings())
			}
			if err != nil && t.migrates() {
				t.cannot = err.Error()
			}
		}
	}
}

// edit makes the edits of a file.
func (j *job) edit() error {
	var edits []edit
	for _, p := range j.documents {
		p.settleShared()
		made, err := p.edits()
		if err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
		edits = append(edits, made...)
	}
	j.after = applyEdits(j.before, edits)
	return nil
}

// edits returns the edits of a document: removals and settings are made for all workloads at once, since these may share lists.
func (p *part) edits() ([]edit, error) {
	pointers := map[string]bool{}
	var settings []setting
	for _, t := range p.tasks {
		t.result = Workload{Name: t.name}
		if !t.migrates() {
			continue
		}
		for source := range t.sources() {
			pointers[source] = true
		}
		for _, s := range t.settings() {
			if !slices.Contains(settings, s) {
				settings = append(settings, s)
			}
			t.result.Added = append(t.result.Added, s.describe())
		}
		what := map[string]string{} // once for each place, which may be that of several parts of the pod
		for _, r := range t.wiring.removals {
			if source, ok := t.source(r.pointer); ok {
				what[source] = r.what
			}
		}
		for _, source := range sortedNames(what) {
			t.result.Removed = append(t.result.Removed, Removed{what[source], p.lineAt(source)})
		}
		sort.SliceStable(t.result.Removed, func(i, k int) bool { return t.result.Removed[i].Line < t.result.Removed[k].Line })
	}
	edits, err := p.remove(slices.Sorted(maps.Keys(pointers)))
	if err != nil {
		return nil, err
	}
	more, err := p.set(settings)
	return append(edits, more...), err
}

// settings are the label and the annotations.
func (t *task) settings() []setting {
	all := []setting{{t.labels, inject.LabelInject, inject.InjectTrue}}
	for _, name := range sortedNames(t.annotations) {
		all = append(all, setting{t.workload.annotations, name, t.annotations[name]})
	}
	return all
}

func (s setting) describe() string {
	kind := "annotation"
	if s.key == inject.LabelInject {
		kind = "label"
	}
	return fmt.Sprintf("%s %s=%s", kind, s.key, s.value)
}

// settleShared keeps what several workloads have in one place, unless it goes for all of them.
func (p *part) settleShared() {
	wanted := map[string]int{} // by source
	for _, t := range p.tasks {
		if t.migrates() {
			for source := range t.sources() {
				wanted[source]++
			}
		}
	}
	for _, t := range p.tasks {
		if !t.migrates() {
			continue
		}
		t.wiring.removals = slices.DeleteFunc(t.wiring.removals, func(r removal) bool {
			source, _ := t.source(r.pointer)
			if source == "" {
				return false
			}
			for _, other := range p.tasks {
				if other == t || !other.uses(source) {
					continue
				}
				if !other.migrates() || !other.sources()[source] {
					t.wiring.note("%s stays: %s has it too", r.what, other.name)
					return true
				}
			}
			return false
		})
	}
}

// sources returns where the document has what is to be removed.
func (t *task) sources() map[string]bool {
	all := map[string]bool{}
	for _, r := range t.wiring.removals {
		if source, ok := t.source(r.pointer); ok {
			all[source] = true
		}
	}
	return all
}

// uses reports whether the workload's pod has something that stands there in the document.
func (t *task) uses(source string) bool {
	for _, o := range t.origins {
		if o.source == ofController {
			continue
		}
		rest, inside := cutPointer(source, o.source)
		if !inside {
			continue
		}
		at := o.pod + rest
		if back, ok := t.source(at); ok && back == source && get(t.pod, names(at)...) != nil {
			return true
		}
	}
	return false
}

func cutPointer(pointer, prefix string) (rest string, inside bool) {
	if len(pointer) < len(prefix) || pointer[:len(prefix)] != prefix {
		return "", false
	}
	rest = pointer[len(prefix):]
	return rest, rest == "" || rest[0] == '/'
}

// prove compares the pods of a file as they were with those of the edited file, injected. It reports whether one of them is not
// injected.
func (m *migration) prove(j *job) (f *File, failed bool, err error) {
	f = &File{Name: j.name, Before: j.before, After: j.after}
	documents, err := parse(j.name, j.after)
	if err != nil {
		return nil, false, fmt.Errorf("the edited file is broken, which is a defect of migrate: %w", err)
	}
	if len(documents) != len(j.documents) {
		return nil, false, fmt.Errorf("%s: the edited file has lost a document, which is a defect of migrate", j.name)
	}
	for i, p := range j.documents {
		edited, err := findIn(documents[i], m.options.Namespace)
		if err != nil || len(edited.workloads) != len(p.tasks) {
			return nil, false, fmt.Errorf("%s: the edited file has lost a workload, which is a defect of migrate: %w", j.name, err)
		}
		for n, t := range p.tasks {
			did := t.migrates()
			if err := m.proveOne(t, edited.workloads[n]); err != nil {
				return nil, false, fmt.Errorf("%s: %s: %w", j.name, t.name, err)
			}
			failed = failed || did && !t.migrates()
			f.Workloads = append(f.Workloads, t.result)
		}
		f.Others = append(f.Others, p.others...)
	}
	return f, failed, nil
}

func (m *migration) proveOne(t *task, edited *workload) error {
	r := &t.result
	r.Outcome = NotWired
	r.Left, r.Notes = slices.Clone(t.wiring.left), slices.Clone(t.wiring.notes)
	if t.cannot != "" {
		r.Left = append(r.Left, t.cannot)
	}
	if t.migrates() {
		if t.cannot = t.surprise(edited); t.cannot != "" {
			return nil
		}
		before, err := typed(t.pod)
		if err != nil {
			return err
		}
		after, plan, err := m.decide(edited, edited.pod, m.policies[t.namespace])
		if err != nil {
			return err
		}
		if plan.Decision != inject.DecisionInjected {
			t.cannot = "without its wiring the pod would get no engine: " + plan.Message()
			return nil
		}
		c := t.compare(before, after, plan)
		r.Differences, r.Gains = c.differences, c.gains
		t.judgeInstalls(c)
		r.Notes = slices.Concat(r.Notes, c.notes, plan.Warnings)
		if r.Outcome = Equal; len(r.Differences) > 0 {
			r.Outcome = Different
		}
	}
	if len(r.Left) > 0 {
		r.Outcome = Cannot
	}
	return nil
}

// judgeInstalls reports scripts that install a command of their own beside the one that injection gives.
func (t *task) judgeInstalls(c *comparison) {
	for _, i := range t.wiring.installs {
		at := ""
		if after := containerNamed(c.after, i.container); after != nil {
			at = cliAfter(after)
		}
		switch {
		case at == "":
		case path.Dir(at) == i.folder:
			t.result.Left = append(t.result.Left, fmt.Sprintf("container %s: its script installs dagger into %s, where injection mounts one "+
				"read-only, so it would fail: remove the installation from the script", i.container, i.folder))
		default:
			c.note("container %s: its script installs dagger into %s; there is one at %s already, so it need not", i.container, i.folder, at)
		}
	}
}
