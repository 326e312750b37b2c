package treecache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// exactSets returns n Sets of different paths.
func exactSets(tb testing.TB, n int) []*Set {
	tb.Helper()
	sets := make([]*Set, n)
	for i := range sets {
		s := spec(tb, fmt.Sprintf("s%d.ns", i), ClusterIP)
		s.Hosts = []SetHost{{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}}
		sets[i] = NewSet(s)
	}
	return sets
}

// TestExactAgainstMap grows and empties the index at random, beside a map.
func TestExactAgainstMap(t *testing.T) {
	sets := exactSets(t, 1000)
	rng := rand.New(rand.NewPCG(5, 6))
	var x exact
	x.init()
	model := map[Path]*Set{}
	for step := range 30_000 {
		set := sets[rng.IntN(len(sets))]
		// One third of the time it grows, then it stays, then it shrinks.
		if rng.IntN(9) < 2+step/10_000*3 {
			x.remove(set.path)
			delete(model, set.path)
		} else {
			x.put(set)
			model[set.path] = set
		}
		if x.size != len(model) {
			t.Fatalf("step %d: size %d, want %d", step, x.size, len(model))
		}
		if step%1000 != 0 {
			continue
		}
		for _, set := range sets {
			if got := x.get(set.path); got != model[set.path] {
				t.Fatalf("step %d: get(%q) = %v, want %v", step, set.path, got, model[set.path])
			}
		}
		if n := len(x.table.Load().buckets); n > minBuckets && len(model) < n/2 {
			t.Errorf("step %d: %d buckets for %d Sets", step, n, len(model))
		}
	}
}

// TestExactFullBuckets fills one bucket and those after it, the last of the
// table too, then takes Sets out from under those that came later.
func TestExactFullBuckets(t *testing.T) {
	sets := exactSets(t, 3*bucketSets)
	table := &exactTable{buckets: make([]bucket, minBuckets)}
	const hash = minBuckets - 1 // of all of them: the last bucket, one tag
	for _, set := range sets {
		table.insert(hash, set)
	}
	for _, set := range sets {
		if place, _, _ := table.find(hash, set.path); place == nil || place.Load() != set {
			t.Errorf("%q is not where it was put", set.path)
		}
	}
	place, b, tag := table.find(hash, sets[0].path)
	b.tags.Store(b.tags.Load() &^ tag)
	place.Store(nil)
	if place, _, _ := table.find(hash, sets[0].path); place != nil {
		t.Error("a Set that was taken out is found")
	}
	if place, _, _ := table.find(hash, sets[len(sets)-1].path); place == nil {
		t.Error("the last Set is lost")
	}
}

// TestExactMarksDoNotGather checks that a long series of added and removed Services does not
// leave a table in which every miss looks at many buckets.
func TestExactMarksDoNotGather(t *testing.T) {
	var x exact
	x.init()
	sets := exactSets(t, 40_000)
	const kept = 100
	for i, set := range sets {
		x.put(set)
		if i >= kept {
			x.remove(sets[i-kept].path)
		}
	}
	marked := 0
	buckets := x.table.Load().buckets
	for i := range buckets {
		if buckets[i].tags.Load() >= overflowed {
			marked++
		}
	}
	if len(buckets) > kept || marked > len(buckets)/2 {
		t.Errorf("%d of %d buckets send readers on, for %d Sets", marked, len(buckets), kept)
	}
}

// TestExactReadersMissNothing looks up Sets that are always there while others
// come and go and the table changes its size.
func TestExactReadersMissNothing(t *testing.T) {
	sets := exactSets(t, 2000)
	stay, others := sets[:50], sets[50:]
	var x exact
	x.init()
	for _, set := range stay {
		x.put(set)
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				for _, set := range stay {
					if got := x.get(set.path); got == nil || got.path != set.path {
						t.Errorf("get(%q) = %v", set.path, got)
						return
					}
				}
			}
		})
	}
	again := exactSets(t, len(stay))
	for range 10 {
		for i, set := range others {
			x.put(set)
			x.put(again[i%len(stay)])
		}
		for _, set := range others {
			x.remove(set.path)
		}
	}
	done.Store(true)
	wg.Wait()
}
