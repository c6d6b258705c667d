package migrate

import "fmt"

// Text describes the report in lines.
func (r *Report) Text() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, f := range r.Files {
		for _, w := range f.Workloads {
			say("%s: %s: %s", f.Name, w.Name, w.sentence())
			for _, one := range w.Removed {
				say("  removed, line %d: %s", one.Line, one.What)
			}
			for _, one := range w.Added {
				say("  added: %s", one)
			}
			for _, d := range w.Differences {
				say("  different: %s", d)
			}
			for _, one := range w.Left {
				say("  to do by hand: %s", one)
			}
			for _, one := range w.Gains {
				say("  gained: %s", one)
			}
			for _, one := range w.Notes {
				say("  note: %s", one)
			}
		}
		for _, other := range f.Others {
			say("%s: %s: left alone, as it is nothing that migrate makes pods from", f.Name, other)
		}
	}
	for _, p := range r.Policies {
		say("namespace %s needs a policy: %s", p.Namespace, p.FileName())
	}
	return lines
}

func (w *Workload) sentence() string {
	switch w.Outcome {
	case NotWired:
		return "nothing of a hand-wiring was found, so it is left alone"
	case Equal:
		return "equal: injected, its pods are what they were"
	case Different:
		return summary(w.Differences)
	}
	if len(w.Removed) == 0 {
		return "it cannot be migrated, and is left as it is"
	}
	return summary(w.Differences) + ", and something is left to do by hand"
}

// String describes the difference in one line.
func (d Difference) String() string {
	text := d.Property
	if d.Container != "" {
		text = "container " + d.Container + ": " + text
	}
	switch {
	case d.Before != "" && d.After != "":
		text += fmt.Sprintf(": was %s, is %s", d.Before, d.After)
	case d.Before != "":
		text += fmt.Sprintf(": was %s, is gone", d.Before)
	case d.After != "":
		text += fmt.Sprintf(": was none, is %s", d.After)
	}
	return text + ". " + d.Means
}
