package explain

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

// CacheAffinity is how a pod is placed by the cache of its project.
type CacheAffinity struct {
	*inject.CacheAffinityTrace
	// Because says the result in words.
	Because string `json:"because"`
	// NotReady are those of First whose engine is not ready now. It counts for a minute after it was.
	NotReady []string `json:"notReady,omitempty"`
	// Landed is where an existing pod runs, and Rank the place of that node in the project's order, from 1; 0 if it has no ready engine.
	Landed string `json:"landed,omitempty"`
	Rank   int    `json:"rank,omitempty"`
}

// cacheAffinity describes the decision's, with the nodes that have a ready engine, nil if they are not known.
func (j *job) cacheAffinity(engineNodes map[string]bool) *CacheAffinity {
	trace := j.trace.CacheAffinity
	if trace == nil {
		return nil
	}
	c := &CacheAffinity{CacheAffinityTrace: trace, Because: trace.Result.Sentence()}
	if trace.Result != inject.CacheAffinityPreferred {
		return c
	}
	for _, node := range trace.First {
		if engineNodes != nil && !engineNodes[node] {
			c.NotReady = append(c.NotReady, node)
		}
	}
	if c.Landed = j.node; c.Landed == "" {
		return c
	}
	for w, of := range j.enginesReady {
		if w.String() == j.trace.Engine.Workload {
			c.Rank = 1 + slices.Index(inject.CacheOrder(of.Nodes, j.namespace.Name, trace.Key), c.Landed)
		}
	}
	return c
}

func (p *page) cacheAffinity(c *CacheAffinity) {
	if c == nil {
		return
	}
	if c.Key == "" {
		p.line("cache", "not placed by it: %s", c.Because)
		return
	}
	p.line("cache", "of %s, by %s", c.Key, c.KeyFrom)
	switch c.Result {
	case inject.CacheAffinityPreferred:
		p.line("cache", "prefers %d of %d nodes, in this order: %s", len(c.First), c.Of, c.order(8))
	case inject.CacheAffinityReplica:
		p.line("cache", "the project's engine is %s, of %d that are ready", strings.Join(c.First, ""), c.Of)
	default:
		p.line("cache", "not placed by it: %s", c.Because)
	}
	if c.Beside > 0 && c.Result == inject.CacheAffinityPreferred {
		p.line("cache", "beside the pod's own preferences, of which there are %d: the scheduler adds up the weights of all that match a node",
			c.Beside)
	}
	switch {
	case c.Landed == "":
	case c.Rank == 0:
		p.line("cache", "the pod runs on %s, which has no ready engine now", c.Landed)
	default:
		p.line("cache", "the pod runs on %s, number %d in that order", c.Landed, c.Rank)
	}
}

// order lists the first nodes, at most so many of them.
func (c *CacheAffinity) order(most int) string {
	var names []string
	for i, node := range c.First {
		if i == most {
			return strings.Join(names, ", ") + " and " + strconv.Itoa(len(c.First)-i) + " more"
		}
		if slices.Contains(c.NotReady, node) {
			node += " (not ready, for less than a minute)"
		}
		names = append(names, node)
	}
	return strings.Join(names, ", ")
}
