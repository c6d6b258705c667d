package figures

import (
	"fmt"
	"io"
)

// The servers that answer requests.
const (
	ServerFloor = "floor"
	ServerTyped = "typed"
	ServerOurs  = "ours"
)

// Request is what an admission request costs.
type Request struct {
	Run
	Connections int    `json:"connections"`
	Loads       []Load `json:"loads"`
	// Decisions are made without the server.
	Decisions []Decision `json:"decisions"`
	Memory    Memory     `json:"memory"`
}

// Load is what all servers do with one review, or with several in turn.
type Load struct {
	Name string `json:"name"`
	// Runner marks a real runner pod.
	Runner bool `json:"runner,omitempty"`
	// BodyBytes is the mean size of the requests' bodies. In it PodBytes are of the pod, and ManagedBytes of its managedFields; they
	// are 0 for several reviews.
	BodyBytes    int   `json:"bodyBytes"`
	PodBytes     int   `json:"podBytes,omitempty"`
	ManagedBytes int   `json:"managedBytes,omitempty"`
	Rows         []Row `json:"rows"`
}

// Row is what one server does with a load.
type Row struct {
	Server   string `json:"server"`
	Requests int    `json:"requests"`
	// CPUMicros is the process's CPU time per request: the median of the rounds.
	CPUMicros float64 `json:"cpuMicros"`
	// The latencies are the client's, with all connections busy: at this load most of it is waiting for a core.
	P50Micros float64 `json:"p50Micros"`
	P99Micros float64 `json:"p99Micros"`
	// PerSecond is the throughput with the client on the same machine: the median of the rounds.
	PerSecond float64 `json:"perSecond"`
}

// Decision is what one decision on the pod of a review costs.
type Decision struct {
	Review      string  `json:"review"`
	Nanos       float64 `json:"nanos"`
	Allocations int64   `json:"allocations"`
}

// Memory is the resident memory of our server, early and late in its life, in bytes.
type Memory struct {
	EarlyRequests int `json:"earlyRequests"`
	LateRequests  int `json:"lateRequests"`
	// EarlyRSS and LateRSS are as the process was, amid its work.
	EarlyRSS int64 `json:"earlyRSS"`
	LateRSS  int64 `json:"lateRSS"`
	// EarlyKept and LateKept are after a collection: what it does not let go of.
	EarlyKept int64 `json:"earlyKept"`
	LateKept  int64 `json:"lateKept"`
}

// CPU returns a server's CPU time per request in microseconds.
func (l Load) CPU(server string) float64 {
	for _, row := range l.Rows {
		if row.Server == server {
			return row.CPUMicros
		}
	}
	return 0
}

// Of is the CPU time per request of ours, in requests to another server.
func (l Load) Of(server string) float64 { return ratio(l.CPU(ServerOurs), l.CPU(server)) }

// PodsPerSecond is how many pods a core decides on in a second.
func (l Load) PodsPerSecond() float64 { return ratio(1e6, l.CPU(ServerOurs)) }

// Table has the CPU time of each server.
func (r *Request) Table() *Table {
	t := &Table{head: []string{"review", "request", "pod without managedFields", "CPU, floor", "ours", "typed", "ours / floor", "ours / typed",
		"pods a second on a core"}}
	for _, l := range r.Loads {
		pod := ""
		if l.PodBytes > 0 {
			pod = kilobytes(l.PodBytes - l.ManagedBytes)
		}
		t.add(l.Name, kilobytes(l.BodyBytes), pod, micros(l.CPU(ServerFloor)), micros(l.CPU(ServerOurs)), micros(l.CPU(ServerTyped)),
			fmt.Sprintf("%.2f", l.Of(ServerFloor)), fmt.Sprintf("%.2f", l.Of(ServerTyped)), Count(l.PodsPerSecond()))
	}
	return t
}

func kilobytes(bytes int) string { return fmt.Sprintf("%.1f KB", float64(bytes)/1000) }

// latencies has what a client sees.
func (r *Request) latencies() *Table {
	t := &Table{head: []string{"review", "server", "requests", "p50", "p99", "requests/s"}}
	for _, l := range r.Loads {
		for _, row := range l.Rows {
			t.add(l.Name, row.Server, Count(float64(row.Requests)), fmt.Sprintf("%.2f ms", row.P50Micros/1000),
				fmt.Sprintf("%.2f ms", row.P99Micros/1000), Count(row.PerSecond))
		}
	}
	return t
}

func (r *Request) decisions() *Table {
	t := &Table{head: []string{"decision without the server", "time", "allocations"}}
	for _, d := range r.Decisions {
		t.add(d.Review, fmt.Sprintf("%.1f µs", d.Nanos/1000), fmt.Sprint(d.Allocations))
	}
	return t
}

func (m *Memory) table() *Table {
	t := &Table{head: []string{"requests", "resident memory of ours", "once collected"}}
	t.add(Count(float64(m.EarlyRequests)), mib(m.EarlyRSS), mib(m.EarlyKept))
	t.add(Count(float64(m.LateRequests)), mib(m.LateRSS), mib(m.LateKept))
	return t
}

func (r *Request) text(to io.Writer) error {
	_, _ = fmt.Fprintf(to, `Admission over HTTPS (HTTP/1.1, TLS 1.3), %d kept connections, client and servers on the same CPUs.
CPU is the server process's own user and system time per request.

`, r.Connections)
	return texts(to, r.Table(), r.latencies(), r.decisions(), r.Memory.table())
}

// texts writes tables with an empty line between them.
func texts(to io.Writer, tables ...*Table) error {
	for i, t := range tables {
		if i > 0 {
			_, _ = fmt.Fprintln(to)
		}
		if err := t.Text(to); err != nil {
			return err
		}
	}
	return nil
}
