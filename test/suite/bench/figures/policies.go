package figures

import (
	"fmt"
	"io"
	"time"
)

// Policies is what policies of many namespaces cost a replica.
type Policies struct {
	Run
	Namespaces int `json:"namespaces"`
	// Engines is on how many nodes engines run, among which jobs are placed by cache.
	Engines int           `json:"engines,omitempty"`
	Ready   time.Duration `json:"readyNanos"`
	// EnginesKnown is how long after its start the webhook knew all engines.
	EnginesKnown time.Duration `json:"enginesKnownNanos,omitempty"`
	Memory       []Reading     `json:"memory"`
	Effects      []Effect      `json:"effects"`
	// LookupNanos and LookupAllocations are of one lookup of a namespace's policies.
	LookupNanos       float64 `json:"lookupNanos"`
	LookupAllocations float64 `json:"lookupAllocations"`
}

// Reading is the webhook's memory at one time, in bytes.
type Reading struct {
	When string `json:"when"`
	// RSS is what is resident; of that Anonymous is the process's own and File is pages of the program, which can be dropped and which
	// processes share. Peak is the most that was resident so far.
	RSS       int64 `json:"rss"`
	Anonymous int64 `json:"anonymous"`
	File      int64 `json:"file"`
	Peak      int64 `json:"peak"`
}

// Effect is how long changes of a policy took to be seen.
type Effect struct {
	Of      string        `json:"of"`
	Changes int           `json:"changes"`
	P50     time.Duration `json:"p50Nanos"`
	P99     time.Duration `json:"p99Nanos"`
	Slowest time.Duration `json:"slowestNanos"`
}

// Peak is the most memory that was resident.
func (p *Policies) Peak() int64 {
	most := int64(0)
	for _, r := range p.Memory {
		most = max(most, r.Peak)
	}
	return most
}

// Size says how large the cluster is.
func (p *Policies) Size() string {
	text := Count(float64(p.Namespaces)) + " namespaces"
	if p.Engines > 0 {
		text += ", " + Count(float64(p.Engines)) + " engines"
	}
	return text
}

// ReplicaTable has what a replica needs in clusters of several sizes.
func ReplicaTable(sizes ...*Policies) *Table {
	t := &Table{head: []string{"policies in", "memory once ready", "at its highest", "ready after", "knows the engines after",
		"a change of a namespace's policy holds after, p99"}}
	for _, p := range sizes {
		first, known, effect := "", "", ""
		if len(p.Memory) > 0 {
			first = mib(p.Memory[0].RSS)
		}
		if p.Engines > 0 {
			known = seconds(p.EnginesKnown)
		}
		if len(p.Effects) > 0 {
			effect = wholeMillis(p.Effects[0].P99)
		}
		t.add(p.Size(), first, mib(p.Peak()), seconds(p.Ready), known, effect)
	}
	return t
}

func (p *Policies) memory() *Table {
	t := &Table{head: []string{"memory of the webhook", "resident", "own", "of the program's file", "most so far"}}
	for _, r := range p.Memory {
		t.add(r.When, mib(r.RSS), mib(r.Anonymous), mib(r.File), mib(r.Peak))
	}
	return t
}

func (p *Policies) effects() *Table {
	t := &Table{head: []string{"from apply to effect", "changes", "p50", "p99", "slowest"}}
	for _, e := range p.Effects {
		t.add(e.Of, fmt.Sprint(e.Changes), wholeMillis(e.P50), wholeMillis(e.P99), wholeMillis(e.Slowest))
	}
	return t
}

func (p *Policies) text(to io.Writer) error {
	_, _ = fmt.Fprintf(to, `%s. Each namespace has a policy of its own in a ConfigMap of a real API server; webhook, API server and client share the CPUs.
A lookup takes %.0f ns.

`, p.Size(), p.LookupNanos)
	return texts(to, ReplicaTable(p), p.memory(), p.effects())
}
