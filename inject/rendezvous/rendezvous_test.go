package rendezvous

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func nodes(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("ip-10-%d-%d-%d.eu-west-1.compute.internal", i>>16, i>>8&255, i&255)
	}
	return names
}

func TestOrderIsThatOfTheGoldenVectors(t *testing.T) {
	require.Equal(t, 1, Version)
	for text, want := range map[string]uint64{
		"": 0xefd01f60ba992926, "a": 0x82a2a958a9bece5b, "node-1": 0x91dd3f4c04e1eb05, "ci\x00gitlab:42": 0xa2079b5fe0940cde,
	} {
		require.Equal(t, want, Hash(text), "%q", text)
	}
	s := NewSet([]string{"node-1", "node-2", "node-3", "node-4", "node-5"})
	require.Equal(t, "f42310568694c773", s.ID())
	for key, want := range map[string][]string{
		"ci\x00gitlab:42":     {"node-5", "node-3", "node-1", "node-2", "node-4"},
		"ci\x00gitlab:43":     {"node-2", "node-1", "node-4", "node-3", "node-5"},
		"ci\x00arc:acme/shop": {"node-4", "node-1", "node-3", "node-2", "node-5"},
	} {
		require.Equal(t, want, s.Order(key), "%q", key)
		require.Equal(t, want[:3], s.First(key, 3))
	}
}

// TestOrderDoesNotDependOnHowTheSetCameAbout has two replicas that learn of the nodes in different orders.
func TestOrderDoesNotDependOnHowTheSetCameAbout(t *testing.T) {
	names := nodes(200)
	one := NewSet(names)
	shuffled := append(slices.Clone(names), names[7], "", names[7])
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	other := NewSet(shuffled)
	require.Equal(t, one.ID(), other.ID())
	require.Equal(t, one.Names(), other.Names())
	require.Same(t, one, one.Renew(shuffled), "with what it remembers")
	require.Equal(t, NewSet(names[1:]), one.Renew(names[1:]))
	for k := range 500 {
		key := fmt.Sprint("key-", k)
		require.Equal(t, one.Order(key), other.Order(key))
		require.Equal(t, one.Order(key)[:Most], other.First(key, Most+1))
		require.Equal(t, one.Order(key)[:5], one.First(key, 5), "what is remembered is the same")
	}
	require.NotEqual(t, one.ID(), NewSet(names[1:]).ID())
}

// TestOthersStayWhereTheyAre removes and adds members: the order of all others is what it was.
func TestOthersStayWhereTheyAre(t *testing.T) {
	names := nodes(300)
	before := NewSet(names)
	for _, gone := range []int{1, 17, 150, 300} {
		after := NewSet(names[:len(names)-gone])
		for k := range 200 {
			key := fmt.Sprint("key-", k)
			left := slices.DeleteFunc(before.Order(key), func(name string) bool { return !slices.Contains(after.Names(), name) })
			require.Equal(t, len(left), after.Len())
			if gone < len(names) {
				require.Equal(t, left, after.Order(key))
			}
		}
	}
}

func TestKeysAreSpreadEvenly(t *testing.T) {
	const members, keys = 50, 20_000
	s := NewSet(nodes(members))
	first, second := map[string]int{}, map[string]int{}
	for k := range keys {
		order := s.First(fmt.Sprintf("ns\x00gitlab:%d", k), 2)
		first[order[0]]++
		second[order[1]]++
	}
	for _, count := range []map[string]int{first, second} {
		for _, name := range s.Names() {
			require.InDelta(t, keys/members, count[name], keys/members/4)
		}
	}
}

func TestSetOfNothing(t *testing.T) {
	var none *Set
	require.Zero(t, none.Len())
	require.Empty(t, none.First("key", 3))
	require.Empty(t, none.Names())
	require.Empty(t, NewSet(nil).First("key", 3))
	require.Empty(t, NewSet(nil).Order("key"))
	require.Empty(t, NewSet(nodes(3)).First("key", 0))
	require.Len(t, NewSet(nodes(3)).First("key", 16), 3)
}

// TestMemoryOfKeysIsBounded has a tenant who makes up a new key for each pod, from several requests at once.
func TestMemoryOfKeysIsBounded(t *testing.T) {
	s := NewSet(nodes(40))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for k := range 2 * maxRemembered {
				s.First(fmt.Sprint(worker, k), 16)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, len(s.remembered), maxRemembered)
}

func BenchmarkFirst(b *testing.B) {
	for _, n := range []int{20, 300, 1000, 5000} {
		s := NewSet(nodes(n))
		b.Run(fmt.Sprintf("cold/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s.rank(uint64(i), Most)
			}
		})
		b.Run(fmt.Sprintf("warm/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.First("ns\x00gitlab:42", 16)
			}
		})
	}
}
