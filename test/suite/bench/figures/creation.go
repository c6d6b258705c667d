package figures

import (
	"fmt"
	"io"
	"time"
)

// The variants of a creation that others are compared with.
const (
	CreationNone   = "none"
	CreationOurs   = "ours"
	CreationPolicy = "policy"
)

// Creation is what the creation of a pod takes on a real API server.
type Creation struct {
	Run
	Rounds int           `json:"rounds"`
	Rows   []CreationRow `json:"rows"`
}

// CreationRow is one variant with so many clients. The figures are medians of the rounds.
type CreationRow struct {
	Variant string `json:"variant"`
	Title   string `json:"title"`
	Clients int    `json:"clients"`
	Pods    int    `json:"pods"`
	// Latency is the median of a creation's, and Each the time per creation, with all clients.
	Latency time.Duration `json:"latencyNanos"`
	Each    time.Duration `json:"eachNanos"`
	// CPU is the API server's time per creation, on all cores.
	CPU time.Duration `json:"cpuNanos"`
	// Calls is how often the API server called a webhook, per creation.
	Calls float64 `json:"calls"`
}

// Find returns a variant's row, or an empty one.
func (c *Creation) Find(variant string, clients int) CreationRow {
	for _, r := range c.Rows {
		if r.Variant == variant && r.Clients == clients {
			return r
		}
	}
	return CreationRow{}
}

// Clients returns the numbers of clients that were measured, in their order.
func (c *Creation) Clients() []int {
	var all []int
	for _, r := range c.Rows {
		if len(all) == 0 || all[len(all)-1] != r.Clients {
			all = append(all, r.Clients)
		}
	}
	return all
}

// OfPolicy is what a creation with ours takes, in creations with a MutatingAdmissionPolicy. It is 0 where one was not measured.
func (c *Creation) OfPolicy(clients int) float64 {
	return ratio(float64(c.Find(CreationOurs, clients).Each), float64(c.Find(CreationPolicy, clients).Each))
}

// Table has all rows.
func (c *Creation) Table() *Table {
	t := &Table{head: []string{"clients", "creation", "pods", "calls", "median latency", "time per creation", "of none", "of the policy",
		"CPU of the API server", "of the policy"}}
	of := func(a, b time.Duration) string { return fmt.Sprintf("%.2f", ratio(float64(a), float64(b))) }
	for _, r := range c.Rows {
		none, policy := c.Find(CreationNone, r.Clients), c.Find(CreationPolicy, r.Clients)
		t.add(fmt.Sprint(r.Clients), r.Title, fmt.Sprint(r.Pods), fmt.Sprintf("%.1f", r.Calls), millis(r.Latency), millis(r.Each),
			of(r.Each, none.Each), of(r.Each, policy.Each), millis(r.CPU), of(r.CPU, policy.CPU))
	}
	return t
}

func (c *Creation) text(to io.Writer) error { return c.Table().Text(to) }
