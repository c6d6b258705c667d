package fleet

import (
	"context"
	"math"
	"slices"
)

// Result is what was measured of the jobs pushed while measuring. Times are in seconds.
type Result struct {
	Jobs int `json:"jobs"`
	// HitRate is the share of the jobs that found their cache.
	HitRate float64 `json:"hitRate"`
	// Mean and P95 are of the time from a job's push to its end.
	Mean float64 `json:"meanSeconds"`
	P95  float64 `json:"p95Seconds"`
	// MaxLoad is the busy time of the busiest node, as a multiple of the nodes' mean.
	MaxLoad float64 `json:"loadMaxOverMean"`
	// Busy is the share of all slots that was in use; over 1 where nodes were shared by more jobs than they have slots.
	Busy float64 `json:"busy"`

	hits  int
	times []float64
}

// Pool returns the result of several runs together.
func Pool(runs ...*Result) *Result {
	all := &Result{}
	for _, r := range runs {
		all.Jobs += r.Jobs
		all.hits += r.hits
		all.times = append(all.times, r.times...)
		all.MaxLoad += r.MaxLoad / float64(len(runs))
		all.Busy += r.Busy / float64(len(runs))
	}
	all.summarize()
	return all
}

func (r *Result) summarize() {
	r.HitRate = float64(r.hits) / float64(r.Jobs)
	slices.Sort(r.times)
	r.Mean = 0
	for _, t := range r.times {
		r.Mean += t / float64(len(r.times))
	}
	r.P95 = r.times[min(len(r.times)*95/100, len(r.times)-1)]
	// More digits say nothing, and a report is read.
	for _, figure := range []*float64{&r.HitRate, &r.Mean, &r.P95, &r.MaxLoad, &r.Busy} {
		*figure = math.Round(*figure*1e4) / 1e4
	}
}

// measure collects a Result.
type measure struct {
	on     bool
	since  float64
	left   int               // jobs that have not ended
	before map[*Node]float64 // how busy each node had been
	result Result
}

func (m *measure) pushed(jobs int) {
	if m.on {
		m.result.Jobs += jobs
		m.left += jobs
	}
}

// started counts a job that starts. Where no job ever shares a slot it is known when it will end.
func (m *measure) started(j *Job, now float64, shared bool) {
	if !j.measured {
		return
	}
	if j.Hit {
		m.result.hits++
	}
	if !shared {
		m.ended(j, now+j.left)
	}
}

func (m *measure) ended(j *Job, now float64) {
	if j.measured {
		j.measured = false
		m.left--
		m.result.times = append(m.result.times, now-j.Pushed)
	}
}

// Measure replays until so many jobs were pushed, and until all of those have ended. The placer places those jobs; it is finish that
// places what comes after them, and those that found no room meanwhile.
func (f *Fleet) Measure(ctx context.Context, placer, finish Placer, jobs int) (*Result, error) {
	if err := f.handOver(ctx, placer); err != nil {
		return nil, err
	}
	m := &f.measure
	*m = measure{on: true, since: f.now, before: map[*Node]float64{}}
	for _, n := range f.Nodes {
		n.advance(f.now, f.Workload.Slots)
		m.before[n] = n.busy
	}
	for m.result.Jobs < jobs {
		if err := f.step(ctx); err != nil {
			return nil, err
		}
	}
	m.on = false
	f.load()
	if err := f.handOver(ctx, finish); err != nil {
		return nil, err
	}
	for m.left > 0 {
		if err := f.step(ctx); err != nil {
			return nil, err
		}
	}
	m.result.summarize()
	return &m.result, nil
}

// load compares how busy the nodes were that were there all the time.
func (f *Fleet) load() {
	var most, sum float64
	there := 0
	for _, n := range f.Nodes {
		n.advance(f.now, f.Workload.Slots)
		before, ok := f.measure.before[n]
		if !ok || n.Cordoned {
			continue
		}
		there++
		sum += n.busy - before
		most = max(most, n.busy-before)
	}
	if there == 0 || sum == 0 {
		return
	}
	mean := sum / float64(there)
	f.measure.result.MaxLoad = most / mean
	f.measure.result.Busy = mean / (f.now - f.measure.since) / float64(f.Workload.Slots)
}
