package sim

import (
	"fmt"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
)

// Policy is a way to place jobs.
type Policy struct {
	// Name is "blind", "oracle", or a ladder's NODES:WEIGHT:LASTWEIGHT.
	Name string `json:"name"`
	// Ladder is what pods prefer; its zero value for blind and oracle.
	Ladder Ladder `json:"ladder,omitzero"`
}

// The policies that are no ladder.
const (
	// Blind leaves jobs to the scheduler without a hint.
	Blind = "blind"
	// Greedy is the policy of an Oracle.
	Greedy = "oracle"
)

// ParsePolicies reads policies separated by commas.
func ParsePolicies(text string) ([]Policy, error) {
	var policies []Policy
	for _, name := range strings.Split(text, ",") {
		p := Policy{Name: strings.TrimSpace(name)}
		if p.Name != Blind && p.Name != Greedy {
			l := &p.Ladder
			_, err := fmt.Sscanf(p.Name, "%d:%d:%d", &l.Nodes, &l.Weight, &l.LastWeight)
			if err != nil || p.Name != fmt.Sprintf("%d:%d:%d", l.Nodes, l.Weight, l.LastWeight) || l.Nodes < 1 || l.Nodes > rendezvous.Most ||
				l.LastWeight < 1 || l.LastWeight > l.Weight || l.Weight > 100 {
				return nil, fmt.Errorf("%q is no policy: want %s, %s or NODES:WEIGHT:LASTWEIGHT, as in 16:100:10, with 1 to %d nodes and weights "+
					"that fall, from 100 to 1", p.Name, Blind, Greedy, rendezvous.Most)
			}
		}
		policies = append(policies, p)
	}
	return policies, nil
}

// Placer returns a placer that simulates the policy.
func (p Policy) Placer(seed uint64) fleet.Placer {
	if p.Name == Greedy {
		return NewOracle(seed)
	}
	return NewScheduler(p.Ladder, seed)
}

// Title says what the policy is in words.
func (p Policy) Title() string {
	switch {
	case p.Name == Greedy:
		return "greedy oracle"
	case p.Ladder.Nodes == 0:
		return p.Name
	default:
		return fmt.Sprintf("ladder of %d, %d to %d", p.Ladder.Nodes, p.Ladder.Weight, p.Ladder.LastWeight)
	}
}
