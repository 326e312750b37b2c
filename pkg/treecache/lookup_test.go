package treecache

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// addr4 returns the i-th address of 10.0.0.0/8.
func addr4(i int) netip.Addr {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 10<<24|uint32(i))
	return netip.AddrFrom4(ip)
}

// cluster returns a tree of n Services in n/10 namespaces, every tenth headless
// with n endpoints in all of them together times ten, the rest with a ClusterIP
// and two ports; and the number of its endpoints.
func cluster(tb testing.TB, n int) (*Tree, int) {
	tb.Helper()
	tree := New(dnsname.MustParse(testZone))
	endpoints := 0
	for i := range n {
		s := &SetSpec{Kind: ClusterIP, TTL: 30, Priority: 10, Created: int64(i)}
		s.Path = mustPath(tb, fmt.Sprintf("service-%d", i), fmt.Sprintf("namespace-%d", i/10))
		s.port("http", TCP, 80).port("metrics", TCP, 9090)
		if i%10 == 9 {
			s.Kind = Headless
			for range 100 {
				s.Hosts = append(s.Hosts, SetHost{Addr: addr4(1<<23 + endpoints)})
				endpoints++
			}
		} else {
			s.Hosts = []SetHost{{Addr: addr4(i)}}
		}
		tree.Replace(NewSet(s))
	}
	return tree, endpoints
}

func TestLookupAllocs(t *testing.T) {
	tree, _ := cluster(t, 1000)
	for _, tt := range []struct {
		name string
		want Status
	}{
		{"service-500.namespace-50", Found},
		{"_http._tcp.service-500.namespace-50", Found},
		{"service-9.namespace-0", Found},
		{"_http._tcp.service-9.namespace-0", Found},
		{HashLabel(addr4(1<<23)) + ".service-9.namespace-0", Found},
		{"10-128-0-0.service-9.namespace-0", Found},
		{"nosuch-a.service-9.namespace-0", NoSuchName},
		{"a-service-with-a-rather-long-name-as-some-operators-make-them.namespace-50", NoSuchName},
		{"service-500.nosuch", NoSuchName},
		{"namespace-50", NoRecords},
	} {
		name := wireName(tt.name)
		var sum int
		if got := testing.AllocsPerRun(100, func() {
			a := tree.Lookup(name)
			for i := range a.Len() {
				r := a.At(i)
				sum += int(r.Port)
			}
			if a.Status != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, a.Status, tt.want)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
}

// TestTreeMemory holds the whole cluster of the budget to a few MiB: a tenth of
// 10 000 Services headless, 100 000 endpoints, all with reverse names. It stays
// so while endpoints come and go.
func TestTreeMemory(t *testing.T) {
	before := heap()
	tree, endpoints := cluster(t, 10_000)
	if endpoints != 100_000 {
		t.Fatalf("%d endpoints", endpoints)
	}
	check := func(when string) {
		t.Helper()
		used := heap() - before
		t.Logf("%s: %d KiB", when, used>>10)
		if used > 9<<20 {
			t.Errorf("%s, 10000 Services and 100000 endpoints take %d KiB, want at most 9 MiB", when, used>>10)
		}
	}
	check("at first")
	for round := range 3 {
		for i := 9; i < 10_000; i += 10 {
			s := &SetSpec{Kind: Headless, TTL: 30, Priority: 10, Created: int64(i)}
			s.Path = mustPath(t, fmt.Sprintf("service-%d", i), fmt.Sprintf("namespace-%d", i/10))
			s.port("http", TCP, 80).port("metrics", TCP, 9090)
			for j := range 100 {
				s.Hosts = append(s.Hosts, SetHost{Addr: addr4(1<<23 + i*10 + j + round*31)})
			}
			tree.Replace(NewSet(s))
		}
	}
	check("after three rollouts")
	runtime.KeepAlive(tree)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// FuzzLookup: any bytes get an answer, the same as the text form of the name
// gets from the model of the fixture: a name found by Lookup is found by Match
// with the same records.
func FuzzLookup(f *testing.F) {
	tree := newTree(f,
		spec(f, "web.default", ClusterIP).hosts("10.96.0.10").port("http", TCP, 80),
		spec(f, "hl.default", Headless).hosts("10.0.0.1", "10.0.0.3=pet-0", "2001:db8::1").port("http", TCP, 80),
		spec(f, "ext.default", ExternalName).alias("example.com"),
	)
	s := tree.Snapshot()
	for _, name := range []string{
		"web.default", "_http._tcp.web.default", "10-0-0-1.hl.default", "2001-db8--1.hl.default", "*.hl.default",
		"_tcp.hl.default", "default", "svc.cluster.local.", "cluster.local.", ".", label1 + "._http._tcp.hl.default",
	} {
		f.Add(wireName(name))
	}
	f.Add([]byte(""))
	f.Add([]byte("\x00"))
	f.Add([]byte("\xff\x07cluster\x05local\x00"))
	f.Add([]byte("\x00\x07cluster\x05local\x00"))
	f.Fuzz(func(t *testing.T, name []byte) {
		tree.Warm([][]byte{name})
		a, m := tree.Lookup(name), s.Match(name, uint64(len(name)))
		if got := s.Lookup(name); show(got) != show(a) {
			t.Fatalf("Lookup(%q) = %s in the tree, %s in its snapshot", name, show(a), show(got))
		}
		if a.Status != NoSuchName && !dnsname.Valid(name) {
			t.Fatalf("Lookup(%q) = %v for no name", name, a.Status)
		}
		if (a.Status == Found) != (a.Len() > 0) {
			t.Fatalf("Lookup(%q) = %v with %d records", name, a.Status, a.Len())
		}
		if a.Status == Found && show(a) != show(m) {
			t.Fatalf("Lookup(%q) = %s, Match %s", name, show(a), show(m))
		}
		for i := range a.Len() {
			r := a.At(i)
			if target := r.AppendTarget(nil); !dnsname.Valid(target) {
				t.Fatalf("Lookup(%q): target %q", name, target)
			}
			if a.TTL() > r.TTL {
				t.Fatalf("Lookup(%q): record %d has TTL %d, the answer %d", name, i, r.TTL, a.TTL())
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 10_000, 100_000} {
		tree, endpoints := cluster(b, n)
		rng := rand.New(rand.NewPCG(1, 2))
		// As many names as a cluster has, so that not all of it is in the
		// processor's cache.
		names := make([][4][]byte, min(n, 50_000))
		for i := range names {
			ns := rng.IntN(n / 10)
			names[i] = [...][]byte{
				wireName(fmt.Sprintf("service-%d.namespace-%d", ns*10+rng.IntN(9), ns)),
				wireName(fmt.Sprintf("_metrics._tcp.service-%d.namespace-%d", ns*10+rng.IntN(9), ns)),
				wireName(fmt.Sprintf("%s.service-%d.namespace-%d", HashLabel(addr4(1<<23+ns*100+rng.IntN(100))), ns*10+9, ns)),
				wireName(fmt.Sprintf("nosuch-%d.namespace-%d", rng.IntN(n), ns)),
			}
		}
		for kind, what := range []string{"address", "service", "endpoint", "missing"} {
			b.Run(fmt.Sprintf("%s/services=%d", what, n), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					name := names[i%len(names)][kind]
					if a := tree.Lookup(name); (a.Status == Found) == (what == "missing") {
						b.Fatalf("%q: %v", name, a.Status)
					}
					i++
				}
			})
		}
		b.Run(fmt.Sprintf("reverse/services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if a := tree.Reverse(addr4(1<<23+i%endpoints), nil); a.Status != Found {
					b.Fatal(a.Status)
				}
				i++
			}
		})
	}
}

// TestReplaceCostsTheSame: a change copies a few trie nodes, one more for every
// 64 times as many Services, never what grows with the cluster.
func TestReplaceCostsTheSame(t *testing.T) {
	allocs := func(n int) float64 {
		tree, _ := cluster(t, n)
		var sets [2]*Set
		for i := range sets {
			s := spec(t, "service-0.namespace-0", ClusterIP).port("http", TCP, 80)
			s.Hosts = []SetHost{{Addr: addr4(1<<22 + i)}}
			sets[i] = NewSet(s)
		}
		i := 0
		return testing.AllocsPerRun(100, func() {
			i++
			tree.Replace(sets[i&1])
		})
	}
	// Two more levels of each of four tries, a node and its list each, and what
	// is beside them. How deep a name lies is up to its hash.
	const levels = 20
	small, large := allocs(10), allocs(10_000)
	if large > small+levels || large > 44 {
		t.Errorf("%v allocations among 10 Services, %v among 10 000", small, large)
	}
}

func BenchmarkReplace(b *testing.B) {
	for _, n := range []int{10, 10_000, 100_000} {
		tree, _ := cluster(b, n)
		b.Run(fmt.Sprintf("clusterIP/services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				s := spec(b, "service-0.namespace-0", ClusterIP).port("http", TCP, uint16(i&1023))
				s.Hosts = []SetHost{{Addr: addr4(i & 1)}}
				tree.Replace(NewSet(s))
			}
		})
	}
}

// BenchmarkReplaceHeadless swaps one endpoint of 5000.
func BenchmarkReplaceHeadless(b *testing.B) {
	tree, _ := cluster(b, 10_000)
	s := spec(b, "big.default", Headless).port("http", TCP, 80)
	for i := range 5000 {
		s.Hosts = append(s.Hosts, SetHost{Addr: addr4(1<<22 + i)})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s.Hosts[0].Addr = addr4(1<<22 + 5000 + i&1)
		tree.Replace(NewSet(s))
	}
}
