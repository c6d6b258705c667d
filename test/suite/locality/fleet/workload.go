// Package fleet replays pushes of CI jobs on nodes that cache what their projects need, on a clock that jumps from one event to the
// next. Where a job goes is asked of a Placer: a real scheduler or a simulated one, so that nothing else differs between them.
package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Workload says what is pushed to which nodes. Times are in seconds.
type Workload struct {
	Nodes int `json:"nodes"`
	// Slots is how many jobs a node runs at full speed. More of them share it.
	Slots int `json:"slots"`
	// Utilisation is the share of all slots that is busy if ReferenceHitRate of the jobs find their cache.
	Utilisation float64 `json:"utilisation"`
	// Requests is what jobs request as a share of what they use, so that Slots/Requests of them fit on a node.
	Requests float64 `json:"requests"`
	// Projects is how many projects there are a node, and Zipf the exponent of their popularity.
	Projects int     `json:"projectsPerNode"`
	Zipf     float64 `json:"zipf"`
	// Cached is how many projects a node's cache holds.
	Cached int `json:"cachedProjects"`
	// PushMin and PushMax bound the jobs of a push, all of one project.
	PushMin int `json:"pushMin"`
	PushMax int `json:"pushMax"`
	// Warm is the mean time of a job that finds its cache. One that does not takes Miss times as long.
	Warm float64 `json:"warmSeconds"`
	Miss float64 `json:"missFactor"`
	// NodeLife is the age at which a node is cordoned and replaced. It goes once its last job has ended.
	NodeLife float64 `json:"nodeLifeSeconds"`
	Seed     uint64  `json:"seed"`
}

// ReferenceHitRate is the hit rate with which a utilisation becomes a rate of jobs: the rate must not depend on who places them.
const ReferenceHitRate = 0.5

// spread is the standard deviation of the logarithm of a job's time.
const spread = 0.5

// Fit is how many jobs a node holds by their requests.
func (w *Workload) Fit() int { return int(float64(w.Slots)/w.Requests + 1e-9) }

// push is what one push of a project starts, and when.
type push struct {
	at      float64
	project int
	works   []float64
}

// trace yields the pushes of a workload in turn: the same ones for the same seed.
type trace struct {
	w          *Workload
	random     *rand.Rand
	cumulative []float64
	interval   float64
	last       float64
}

func newTrace(w *Workload) *trace {
	t := &trace{w: w, random: rand.New(rand.NewPCG(w.Seed, 1)), cumulative: make([]float64, w.Projects*w.Nodes)}
	sum := 0.0
	for i := range t.cumulative {
		sum += math.Pow(float64(i+1), -w.Zipf)
		t.cumulative[i] = sum
	}
	mean := w.Warm * (ReferenceHitRate + (1-ReferenceHitRate)*w.Miss)
	jobsPerSecond := w.Utilisation * float64(w.Nodes*w.Slots) / mean
	t.interval = float64(w.PushMin+w.PushMax) / 2 / jobsPerSecond
	return t
}

func (t *trace) next() push {
	t.last += t.random.ExpFloat64() * t.interval
	p := push{at: t.last, works: make([]float64, t.w.PushMin+t.random.IntN(t.w.PushMax-t.w.PushMin+1))}
	p.project, _ = slices.BinarySearch(t.cumulative, t.random.Float64()*t.cumulative[len(t.cumulative)-1])
	for i := range p.works {
		p.works[i] = t.w.Warm * math.Exp(spread*t.random.NormFloat64()-spread*spread/2)
	}
	return p
}
