package figures

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// StartupBaseline is the variant that the others are compared with.
const StartupBaseline = "not injected"

// Startup is how long pods take from their creation until their job container runs.
type Startup struct {
	Run
	Variants []StartupVariant `json:"variants"`
}

// StartupVariant is one way to inject a pod.
type StartupVariant struct {
	Name    string `json:"name"`
	Pods    int    `json:"pods"`
	Started Times  `json:"started"`
	// All are the times of every pod, in the order of their creation.
	All []time.Duration `json:"allNanos"`
	// More is how much later the job's container starts than in a pod that is not injected: the difference of the medians. It is nil
	// where no such pod was measured.
	More  *time.Duration `json:"moreNanos,omitempty"`
	Steps []StartupStep  `json:"steps"`
}

// StartupStep is a part of a start.
type StartupStep struct {
	Name string `json:"name"`
	Times
}

// Times are a median and a 95th percentile.
type Times struct {
	Median time.Duration `json:"medianNanos"`
	P95    time.Duration `json:"p95Nanos"`
}

// TimesOf returns those of one time or more.
func TimesOf(all []time.Duration) Times {
	sorted := slices.Sorted(slices.Values(all))
	// The median is of the two in the middle; the percentile is the least value that 95 in 100 do not exceed.
	n := len(sorted)
	return Times{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, P95: sorted[(n*95+99)/100-1]}
}

// Find returns a variant, or nil.
func (s *Startup) Find(name string) *StartupVariant {
	for i := range s.Variants {
		if s.Variants[i].Name == name {
			return &s.Variants[i]
		}
	}
	return nil
}

// Compare sets how much more the variants take than the baseline.
func (s *Startup) Compare() {
	base := s.Find(StartupBaseline)
	if base == nil {
		return
	}
	for i := range s.Variants {
		more := s.Variants[i].Started.Median - base.Started.Median
		s.Variants[i].More = &more
	}
}

// Table has all variants.
func (s *Startup) Table() *Table {
	t := &Table{head: []string{"variant", "pods", "created to job started, median", "95th percentile", "more than " + StartupBaseline}}
	for _, v := range s.Variants {
		more := ""
		if v.More != nil {
			more = seconds(*v.More)
		}
		t.add(v.Name, fmt.Sprint(v.Pods), seconds(v.Started.Median), seconds(v.Started.P95), more)
	}
	return t
}

// StepsTable has the median of each step, of those of the variants that were measured.
func (s *Startup) StepsTable(names ...string) *Table {
	t := &Table{head: []string{"step"}}
	var steps []string
	var found []map[string]time.Duration
	for _, name := range names {
		v := s.Find(name)
		if v == nil {
			continue
		}
		t.head = append(t.head, name)
		medians, after := map[string]time.Duration{}, 0
		for _, step := range v.Steps {
			medians[step.Name] = step.Median
			// A step that others do not have comes after the one that it follows.
			if i := slices.Index(steps, step.Name); i >= 0 {
				after = i + 1
				continue
			}
			steps = slices.Insert(steps, after, step.Name)
			after++
		}
		found = append(found, medians)
	}
	for _, step := range steps {
		cells := []string{step}
		for _, medians := range found {
			text := ""
			if took, has := medians[step]; has {
				text = wholeMillis(took)
			}
			cells = append(cells, text)
		}
		t.add(cells...)
	}
	return t
}

// text shows the steps of each variant with their 95th percentiles.
func (s *Startup) text(to io.Writer) error {
	if err := s.Table().Text(to); err != nil {
		return err
	}
	for _, v := range s.Variants {
		_, _ = fmt.Fprintf(to, "\n%s:\n\n", v.Name)
		t := &Table{head: []string{"step", "median", "95th percentile"}}
		for _, step := range v.Steps {
			t.add(step.Name, wholeMillis(step.Median), wholeMillis(step.P95))
		}
		if err := t.Text(to); err != nil {
			return err
		}
	}
	return nil
}
