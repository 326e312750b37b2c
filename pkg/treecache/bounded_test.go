package treecache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestMatchIsBounded: the work of a wildcard does not grow with the cluster, its results are
// right, and every Service is found at some time.
func TestMatchIsBounded(t *testing.T) {
	tree := newTree(t)
	var changes []Change
	const services = 3000
	for i := range services {
		set := NewSet(spec(t, fmt.Sprintf("s%d.wide", i), ClusterIP).hosts(addr4(i).String()).port("http", TCP, 80))
		changes = append(changes, Change{set.Path(), set})
		set = NewSet(spec(t, fmt.Sprintf("web.ns%d", i), Headless).hosts(addr4(services+i).String()).port("http", TCP, 80))
		changes = append(changes, Change{set.Path(), set})
	}
	tree.Apply(changes...)
	s := tree.Snapshot()
	for _, tt := range []struct {
		name  string
		found bool
	}{
		{"*.*.wide", true},
		{"web.*", true},
		{"*.web.*", true},
		{"_http._tcp.*.wide", true},
		{"_http._tcp.web.*", true},
		{"nosuch.*", false},
		{"x.*.wide", false},
		{"*.*.*", true},
		{"*.*.*.*.cluster.local.", true},
	} {
		seen := map[string]bool{}
		for range 600 {
			a := s.Match(wireName(tt.name), rand.Uint64())
			if !a.Truncated || (a.Status == Found) != tt.found || a.Len() > MaxFound {
				t.Fatalf("%s: %v with %d records, truncated %v", tt.name, a.Status, a.Len(), a.Truncated)
			}
			var r Record
			for walk := a.Services(0); walk.Next(&r); {
				seen[r.Target().String()] = true
			}
		}
		// 600 questions with up to 128 of 3000 Services each miss one only if it is
		// not chosen.
		if tt.found && len(seen) < services*9/10 {
			t.Errorf("%s: only %d Services were ever found", tt.name, len(seen))
		}
	}
	m := matcher{snapshot: s, start: 1, left: maxWork}
	copy(m.labels[:], []string{"svc", "*", "nosuch"})
	for i, label := range m.labels {
		m.hashes[i] = s.hash(label)
	}
	m.dir(&s.top, 0, 3)
	if m.left < -8 {
		t.Errorf("%d more than allowed was looked at", -m.left)
	}
	// A directory that is not large is seen whole.
	small := newTree(t)
	for i := range MaxFound {
		small.Replace(NewSet(spec(t, fmt.Sprintf("web.ns%d", i), ClusterIP).hosts(addr4(i).String())))
	}
	if a := small.Snapshot().Match(wireName("web.*"), rand.Uint64()); a.Len() != MaxFound || a.Truncated {
		t.Errorf("a namespace each: %d records, truncated %v", a.Len(), a.Truncated)
	}
	if a := small.Snapshot().Match(wireName("x.web.*"), rand.Uint64()); a.Status != NoSuchName || a.Truncated {
		t.Errorf("no such host: %v, truncated %v", a.Status, a.Truncated)
	}
}

// TestClaimants: the names of an address are the first of all that claim it, in
// answer order, however many come and go, and older states keep theirs.
func TestClaimants(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	tree := newTree(t)
	addr := netip.MustParseAddr("10.0.0.1")
	specs := map[Path]*SetSpec{}
	want := func() []string {
		m := newModel(specs)
		names := m.claims(addr)
		return names[:min(len(names), MaxNames)]
	}
	got := func(a Answer) []string {
		var names []string
		for i := range a.Len() {
			r := a.At(i)
			full := r.Target().String()
			names = append(names, full[:len(full)-len("."+testZone)])
		}
		return names
	}
	var old *Snapshot
	var oldWant []string
	for step := range 600 {
		owner := fmt.Sprintf("s%d.shared", rng.IntN(150))
		s := spec(t, owner, Headless).hosts("10.0.0.1", fmt.Sprintf("10.0.0.1=h%d", rng.IntN(2)))
		s.Created = int64(rng.IntN(20))
		if rng.IntN(10) == 0 {
			s.Kind, s.Hosts = ClusterIP, s.Hosts[:1]
		}
		if rng.IntN(4) == 0 || step > 450 {
			tree.Apply(Change{Path: s.Path})
			delete(specs, s.Path)
		} else {
			specs[s.Path] = s
			tree.Replace(NewSet(s))
		}
		names := want()
		if a := tree.Reverse(addr, nil); !slices.Equal(got(a), names) {
			t.Fatalf("step %d: the tree has %v, want %v", step, got(a), names)
		}
		if a := tree.Snapshot().Reverse(addr, nil); !slices.Equal(got(a), names) {
			t.Fatalf("step %d: the snapshot has %v, want %v", step, got(a), names)
		}
		if step == 300 {
			old, oldWant = tree.Snapshot(), names
		}
	}
	if a := old.Reverse(addr, nil); !slices.Equal(got(a), oldWant) {
		t.Errorf("an older state has %v, want %v", got(a), oldWant)
	}
}

// TestManyClaimantsChange: the cost of a change does not grow with the number of owners of
// one address, nor with the number of names that one Service gives to it.
func TestManyClaimantsChange(t *testing.T) {
	shared := func(i int) *Set {
		s := spec(t, fmt.Sprintf("s%d.shared", i), Headless).hosts("10.0.0.1")
		s.Created = int64(i * 7919 % 1000)
		return NewSet(s)
	}
	grow := func(n int) time.Duration {
		least := time.Hour
		for range 3 {
			tree := newTree(t)
			start := time.Now()
			for i := range n {
				tree.Replace(shared(i))
			}
			for i := range n {
				tree.Apply(Change{Path: shared(i).Path()})
			}
			least = min(least, time.Since(start)/time.Duration(n))
		}
		return least
	}
	few, many := grow(500), grow(20_000)
	if many > 8*few { // the logarithm grows 1.6-fold; a list copied at each change 40-fold
		t.Errorf("a change takes %v among 500 owners of an address, %v among 20 000", few, many)
	}
	one := spec(t, "one.shared", Headless)
	for i := range 100_000 {
		one.Hosts = append(one.Hosts, SetHost{Name: fmt.Sprintf("h%d", i), Addr: netip.MustParseAddr("10.0.0.2")})
	}
	tree := newTree(t)
	start := time.Now()
	tree.Replace(NewSet(one))
	one.Hosts = one.Hosts[1:]
	tree.Replace(NewSet(one))
	if took := time.Since(start); took > 5*time.Second { // a scan for each took minutes
		t.Errorf("100 000 names of one address took %v", took)
	}
	if a := tree.Reverse(netip.MustParseAddr("10.0.0.2"), nil); a.Len() != MaxNames {
		t.Errorf("%d names, want %d", a.Len(), MaxNames)
	}
}

// A Set takes memory in proportion to the object that it comes from, even though each port leads
// to each of its endpoints.
func TestPortsTimesHostsIsBounded(t *testing.T) {
	const ports, hosts = 20_000, 1000
	base := spec(t, "wide.default", Headless)
	var all, half, quarter []int
	for i := range hosts {
		base.Hosts = append(base.Hosts, SetHost{Addr: addr4(i)})
		all = append(all, i)
		if i%2 == 0 {
			half = append(half, i)
		}
		if i%4 == 0 {
			quarter = append(quarter, i)
		}
	}
	for _, tt := range []struct {
		name    string
		add     func(s *SetSpec, i int, name string)
		leftOut int // the least number
		most    int // the largest one
	}{
		{"all hosts", func(s *SetSpec, i int, name string) { s.port(name, TCP, uint16(i+1), all...) }, 0, 0},
		{"half of the hosts", func(s *SetSpec, i int, name string) {
			s.Ports = append(s.Ports, SetPort{Name: name, Protocol: TCP, Number: uint16(i + 1), Hosts: half})
		}, 0, 0},
		{"some in two slices", func(s *SetSpec, i int, name string) {
			s.Ports = append(s.Ports, SetPort{Name: name, Protocol: TCP, Number: uint16(i + 1), Hosts: half}, SetPort{Name: name, Protocol: TCP, Number: uint16(i + 1), Hosts: quarter})
		}, 0, 0},
		{"numbers differ", func(s *SetSpec, i int, name string) {
			s.Ports = append(s.Ports, SetPort{Name: name, Protocol: TCP, Number: uint16(i + 1), Hosts: half}, SetPort{Name: name, Protocol: TCP, Number: 1, Hosts: quarter})
		}, ports - 100, ports - 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := *base
			s.Ports = nil
			for i := range ports {
				tt.add(&s, i, fmt.Sprintf("p%05d", i))
			}
			if tt.name == "all hosts" { // one list, as Build has for a slice
				for i := range s.Ports {
					s.Ports[i].Hosts = all
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			set := NewSet(&s)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
				t.Errorf("%d octets", used)
			}
			if n := set.PortsLeftOut(); n < tt.leftOut || n > tt.most {
				t.Errorf("%d ports left out, want %d to %d", n, tt.leftOut, tt.most)
			}
			tree := newTree(t)
			tree.Replace(set)
			want := map[string]int{"all hosts": hosts}[tt.name]
			if want == 0 {
				want = hosts / 2
			}
			for _, i := range []int{0, 7, ports - 1} {
				a := tree.Snapshot().Lookup(wireName(fmt.Sprintf("_p%05d._tcp.wide.default", i)))
				if tt.leftOut > 0 {
					if i == ports-1 && a.Status != NoSuchName {
						t.Errorf("port %d: %v", i, a.Status)
					}
					continue
				}
				if r := a.At(a.Len() - 1); a.Len() != want || r.Port != uint16(i+1) {
					t.Errorf("port %d: %d records, the last with port %d", i, a.Len(), r.Port)
				}
			}
		})
	}
}

// Ports of a multi-cluster Service are bounded too: its own name has a record for each of its
// ports and endpoints.
func TestImportedPortsTimesHostsIsBounded(t *testing.T) {
	s := spec(t, "wide.default", ClusterSetHeadless)
	var all []int
	for i := range 1000 {
		s.Hosts = append(s.Hosts, SetHost{Name: fmt.Sprintf("c.h%d", i), Addr: addr4(i)})
		all = append(all, i)
	}
	for i := range 20_000 {
		s.Ports = append(s.Ports, SetPort{Name: fmt.Sprintf("p%05d", i), Protocol: TCP, Number: uint16(i + 1), Hosts: all})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set := NewSet(s)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("%d octets", used)
	}
	tree := newTree(t)
	tree.Replace(set)
	for name, want := range map[string]int{"wide.default": 20 * 1000, "_p19999._tcp.wide.default": 1000} {
		if a := tree.Snapshot().Lookup(wireName(name)); a.Len() != want {
			t.Errorf("%s: %d records, want %d", name, a.Len(), want)
		}
	}
	if n := set.PortsLeftOut(); n != 20_000-20 {
		t.Errorf("%d ports left out", n)
	}
}
