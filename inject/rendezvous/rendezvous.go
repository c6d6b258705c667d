// Package rendezvous orders the members of a set for a key, by rendezvous hashing (Thaler and Ravishankar, Using Name-Based
// Mappings to Increase Hit Rates): each pair of a member and a key has a score, and the member with the highest comes first. Who
// knows the same set and key finds the same order. A member that comes or goes leaves the order of the others as it is.
package rendezvous

import (
	"cmp"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Version is that of the hash. A change of it moves every key, so the golden vectors of the tests hold it in place.
const Version = 1

const (
	// Most is how many members First returns at most.
	Most = 32
	// maxRemembered bounds the keys whose order a set remembers. Tenants write keys: when there are more, it begins anew.
	maxRemembered = 1024
)

// Set is a set of members, by name. It is immutable, and safe for concurrent use.
type Set struct {
	names []string // sorted, each once
	seeds []uint64 // of the names
	id    string

	mu         sync.RWMutex
	remembered map[string][]string
}

// NewSet returns the set of these names. The order of the names does not matter, nor whether one is there twice. An empty name is
// none. NewSet does not keep the slice.
func NewSet(names []string) *Set { return (*Set)(nil).Renew(names) }

// Renew returns what NewSet does, or the set itself, with what it remembers, if it has the same members. A nil set is an empty one.
func (s *Set) Renew(names []string) *Set {
	sorted := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	slices.Sort(sorted)
	sorted = slices.Clip(slices.Compact(sorted))
	if s != nil && slices.Equal(s.names, sorted) {
		return s
	}
	return newSet(sorted)
}

func newSet(sorted []string) *Set {
	s := &Set{names: sorted, seeds: make([]uint64, len(sorted)), remembered: map[string][]string{}}
	all := fnv.New64a()
	for i, name := range s.names {
		s.seeds[i] = Hash(name)
		_, _ = io.WriteString(all, name)
		_, _ = all.Write([]byte{0})
	}
	s.id = strconv.FormatUint(Mix(all.Sum64()), 16)
	return s
}

// Len returns the number of members, 0 for a nil set.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.names)
}

// Names returns the members, sorted. The slice must not be changed.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	return s.names
}

// ID identifies the members: sets with equal members have equal ones.
func (s *Set) ID() string { return s.id }

// First returns the first n members in the key's order, fewer if the set or Most is smaller. The slice must not be changed.
func (s *Set) First(key string, n int) []string {
	if s.Len() == 0 || n <= 0 {
		return nil
	}
	s.mu.RLock()
	order, known := s.remembered[key]
	s.mu.RUnlock()
	if !known {
		order = s.rank(Hash(key), Most)
		s.mu.Lock()
		if len(s.remembered) >= maxRemembered {
			clear(s.remembered)
		}
		s.remembered[strings.Clone(key)] = order
		s.mu.Unlock()
	}
	return order[:min(n, len(order))]
}

// Order returns all members in the key's order.
func (s *Set) Order(key string) []string { return s.rank(Hash(key), s.Len()) }

// ranked is a member by its index, and its score.
type ranked struct {
	score uint64
	index int32
}

// rank returns the n members with the highest scores. Members with equal scores are ordered by name.
func (s *Set) rank(key uint64, n int) []string {
	if n = min(n, s.Len()); n == 0 {
		return nil
	}
	best := make([]ranked, 0, n)
	for i, seed := range s.seeds {
		r := ranked{Mix(seed ^ key), int32(i)}
		if len(best) == n {
			if r.score <= best[n-1].score {
				continue // names ascend: of two equal scores, the first stays
			}
			best = best[:n-1]
		}
		at, _ := slices.BinarySearchFunc(best, r, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.index, b.index))
		})
		best = slices.Insert(best, at, r)
	}
	names := make([]string, n)
	for i, r := range best {
		names[i] = s.names[r.index]
	}
	return names
}

// Hash returns a 64-bit hash of the text: FNV-1a, mixed. It has no seed, so that every process gets the same.
func Hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, text)
	return Mix(h.Sum64())
}

// Mix spreads the bits of a hash with the finalizer of MurmurHash3. FNV's high bits hardly depend on the last letters of a text, and
// names differ in those.
func Mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
