package answercache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// filled returns a cache that holds answers for names 0 to n-1.
func filled(n int) (*Cache, *loader) {
	c, l := New(Config{Entries: n + n/8, RoundRobin: true}), newLoader()
	for i := range n {
		l.store(c, i, at(0))
	}
	return c, l
}

// queries returns queries for random names among n, which begin at number from. If n is large,
// the entries do not fit into the nearest cache of the processor.
func queries(n, from int) []*wire.Query {
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([]*wire.Query, 1<<14)
	for i := range all {
		all[i] = newLoader().name(from + rng.IntN(n))
	}
	return all
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 10000, 1000000} {
		c, _ := filled(n)
		for _, bb := range []struct {
			name string
			from int
			now  int64
			want LookupResult
		}{{"hit", 0, at(1), Hit}, {"miss", 1 << 24, at(1), Miss}} {
			b.Run(fmt.Sprintf("%s/names=%d", bb.name, n), func(b *testing.B) {
				qs := queries(n, bb.from)
				buf := make([]byte, 0, 512)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, result := c.Lookup(buf, qs[i&(len(qs)-1)], bb.now, false); result != bb.want {
						b.Fatalf("result %d", result)
					}
					i++
				}
			})
		}
		b.Run(fmt.Sprintf("parallel/names=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				qs := queries(n, 0)
				buf := make([]byte, 0, 512)
				for i := 0; pb.Next(); i++ {
					c.Lookup(buf, qs[i&(len(qs)-1)], at(1), false)
				}
			})
		})
	}
}

func BenchmarkLookupKinds(b *testing.B) {
	c := New(Config{Entries: 100, StaleFor: 1000, FailureTTL: 5, RoundRobin: true})
	q := ask(b, "www.example.", wire.TypeA)
	buf := make([]byte, 0, 4096)
	run := func(name string, now int64, want LookupResult, records ...string) {
		b.Run(name, func(b *testing.B) {
			store(b, c, at(0), q, records...)
			b.ReportAllocs()
			for b.Loop() {
				if _, result := c.Lookup(buf, q, now, true); result != want {
					b.Fatalf("result %d", result)
				}
			}
		})
	}
	run("negative", at(1), Hit, "nxdomain", "ns example. 60 IN SOA n. h. 1 2 3 4 15")
	run("stale", at(20), Stale, "www.example. 10 IN A 1.2.3.4")
	many := []string{"www.example. 10 IN CNAME web.example."}
	for i := range 20 {
		many = append(many, fmt.Sprintf("web.example. 10 IN A 1.2.3.%d", i))
	}
	run("addresses=20", at(1), Hit, many...)
}

func BenchmarkStore(b *testing.B) {
	for _, n := range []int{10000, 1000000} {
		b.Run(fmt.Sprintf("full/names=%d", n), func(b *testing.B) {
			c, l := filled(n)
			b.ReportAllocs()
			for i := n; b.Loop(); i++ {
				l.store(c, i&(1<<31-1), at(1))
			}
		})
	}
}
