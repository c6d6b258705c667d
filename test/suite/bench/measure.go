package main

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// plan is how much is measured. The servers take turns in short rounds, so that what else the machine does hits all of
// them, and the median of the rounds counts.
type plan struct {
	rounds         int
	roundTime      time.Duration // a round ends after this time
	roundRequests  int           // or after that many requests
	warmUpTime     time.Duration
	warmUpRequests int
	memoryRequests int
}

var (
	fullPlan = plan{
		rounds: 9, roundTime: 400 * time.Millisecond, roundRequests: 4000,
		warmUpTime: 500 * time.Millisecond, warmUpRequests: 500, memoryRequests: 100_000,
	}
	quickPlan = plan{
		rounds: 3, roundTime: 200 * time.Millisecond, roundRequests: 1000,
		warmUpTime: 100 * time.Millisecond, warmUpRequests: 100, memoryRequests: 10_000,
	}
)

// samples are the rounds of one server with one load.
type samples struct {
	cpu, perSecond []float64
	latencies      []time.Duration
}

// measure lets every server answer a load.
func measure(ctx context.Context, client *http.Client, children map[string]*child, l load, p plan) (*figures.Load, error) {
	all := map[string]*samples{}
	for _, server := range servers {
		all[server] = &samples{}
		if _, err := send(ctx, client, children[server], l, until(p.warmUpRequests, p.warmUpTime)); err != nil {
			return nil, err
		}
	}
	for range p.rounds {
		for _, server := range servers {
			if err := all[server].round(ctx, client, children[server], l, p); err != nil {
				return nil, err
			}
		}
	}
	r := l.figures()
	for _, server := range servers {
		s := all[server]
		slices.Sort(s.latencies)
		r.Rows = append(r.Rows, figures.Row{
			Server: server, Requests: len(s.latencies), CPUMicros: median(s.cpu), PerSecond: median(s.perSecond),
			P50Micros: micros(quantile(s.latencies, .5)), P99Micros: micros(quantile(s.latencies, .99)),
		})
	}
	return r, nil
}

func until(requests int, limit time.Duration) func(int, time.Duration) bool {
	return func(n int, took time.Duration) bool { return n >= requests || took >= limit }
}

func (s *samples) round(ctx context.Context, client *http.Client, c *child, l load, p plan) error {
	before, err := c.usage(ctx, false)
	if err != nil {
		return err
	}
	started := time.Now()
	took, err := send(ctx, client, c, l, until(p.roundRequests, p.roundTime))
	if err != nil {
		return err
	}
	elapsed := time.Since(started)
	after, err := c.usage(ctx, false)
	if err != nil {
		return err
	}
	n := float64(len(took))
	s.cpu = append(s.cpu, micros(after.CPU-before.CPU)/n)
	s.perSecond = append(s.perSecond, n/elapsed.Seconds())
	s.latencies = append(s.latencies, took...)
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return quantile(sorted, .5)
}

// quantile returns the value that a share of the sorted values does not exceed.
func quantile[T any](sorted []T, share float64) T {
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
