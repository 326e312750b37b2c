//go:build !race

package answercache

import (
	"runtime"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// A hit allocates nothing, whatever is stored. Storing allocates the entry, the octets that do
// not fit into it and, if the pool of scratch memory was emptied, that memory.
func TestAllocs(t *testing.T) {
	c := New(Config{Entries: 100, StaleFor: 1000, FailureTTL: 5, RoundRobin: true})
	buf := make([]byte, 0, 4096)
	kinds := map[string][]string{
		"address":  {"www.example. 10 IN A 1.2.3.4"},
		"chain":    {"www.example. 10 IN CNAME b.", "b. 10 IN A 1.2.3.4", "b. 10 IN A 1.2.3.5"},
		"negative": {"nxdomain", "ns example. 60 IN SOA n. h. 1 2 3 4 15"},
	}
	for name, records := range kinds {
		q := ask(t, "WWW.example.", wire.TypeA)
		r := parsed(t, message(t, q, records...))
		c.Store(q, r, nil, c.Epoch(), at(0))
		for _, now := range []int64{at(1), at(20)} {
			n := testing.AllocsPerRun(100, func() {
				if out, _ := c.Lookup(buf, q, now, true); len(out) == 0 {
					t.Error("nothing found")
				}
			})
			if n != 0 {
				t.Errorf("%s at %d: %v allocations per lookup, want 0", name, now-at(0), n)
			}
		}
		if n := testing.AllocsPerRun(100, func() { c.Store(q, r, nil, c.Epoch(), at(0)) }); n > 2 {
			t.Errorf("%s: %v allocations per store, want at most 2", name, n)
		}
	}
	c = New(Config{Entries: 100, NXDomainCut: true})
	c.Store(ask(t, "example.", a), parsed(t, message(t, ask(t, "example.", a), kinds["negative"]...)), nil, c.Epoch(), at(0))
	for _, q := range []*wire.Query{ask(t, "example.", wire.TypeMX), ask(t, "www.example.", a)} {
		if n := testing.AllocsPerRun(100, func() {
			if out, _ := c.Lookup(buf, q, at(1), false); len(out) == 0 {
				t.Error("nothing found")
			}
		}); n != 0 {
			t.Errorf("%v allocations per answer that a name does not exist, want 0", n)
		}
	}
	var spots []Spot
	for _, q := range queries(1000, 0)[:100] {
		spots = append(spots, c.Spot(AppendKey(nil, q)))
	}
	if n := testing.AllocsPerRun(10, func() { c.Warm(spots) }); n != 0 {
		t.Errorf("%v allocations to warm, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		q := wire.Query{Name: []byte("\x02no\x00"), Type: wire.TypeA, Class: wire.ClassIN}
		c.Lookup(buf, &q, at(1), true)
	}); n != 0 {
		t.Errorf("%v allocations per miss, want 0: the query escapes", n)
	}
}

// 10 000 answers take a few MiB, as Stats.Bytes says.
func TestMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	c, l := New(Config{Entries: 10000}), newLoader()
	for n := range 10000 {
		l.store(c, n, at(0))
	}
	used, counted := heap()-before, c.Stats().Bytes
	t.Logf("10 000 answers: %d KiB of heap, %d KiB counted", used>>10, counted>>10)
	if used > 3<<20 || counted < used/2 || counted > 2*used {
		t.Errorf("%d bytes of heap, %d counted: want at most 3 MiB and a fair count", used, counted)
	}
	runtime.KeepAlive(c)
}
