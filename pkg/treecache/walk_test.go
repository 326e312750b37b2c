package treecache

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// addrsOf returns the addresses of one family the slow way, each once, sorted:
// of every record its own address, or those that its target has in its Set.
func addrsOf(a *Answer, v6 bool, lookup func([]byte) Answer) []netip.Addr {
	all := map[netip.Addr]bool{}
	keep := func(addr netip.Addr) {
		if addr.IsValid() && addr.Is6() == v6 {
			all[addr] = true
		}
	}
	for i := range a.Len() {
		r := a.At(i)
		keep(r.Addr)
		if r.Addr.IsValid() || r.Alias {
			continue
		}
		target := lookup(r.AppendTarget(nil))
		for j := range target.Len() {
			keep(target.At(j).Addr)
		}
	}
	return slices.SortedFunc(maps.Keys(all), netip.Addr.Compare)
}

// checkWalks compares what goes through an answer with its records, from every
// place where it may begin.
func checkWalks(t *testing.T, what string, a Answer, lookup func([]byte) Answer) {
	t.Helper()
	for _, v6 := range []bool{false, true} {
		want := addrsOf(&a, v6, lookup)
		n := a.Addrs(v6)
		if (n.Len() > 0) != (len(want) > 0) {
			t.Errorf("%s: %d addresses to go through, want %v", what, n.Len(), want)
		}
		for start := range n.Len() {
			walk := a.Addrs(v6)
			distinct := walk.Distinct()
			walk.StartAt(start)
			var got []netip.Addr
			for addr, ok := walk.Next(); ok; addr, ok = walk.Next() {
				if slices.Contains(got, addr) && distinct {
					t.Errorf("%s: %v twice", what, addr)
				}
				if got = append(got, addr); len(got) > n.Len() {
					t.Fatalf("%s: more than %d addresses", what, n.Len())
				}
			}
			slices.SortFunc(got, netip.Addr.Compare)
			if diff := cmp.Diff(want, slices.Compact(got), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Fatalf("%s: addresses from %d on: %s", what, start, diff)
			}
		}
		if few, ok := a.AppendFew(nil, v6); ok && len(few) != len(want) {
			t.Errorf("%s: few addresses %v, want %v", what, few, want)
		}
	}
	services := map[string]bool{}
	for i := range a.Len() {
		if r := a.At(i); r.HasTarget() && !r.Alias {
			services[fmt.Sprintf("%d %s", r.Port, r.AppendTarget(nil))] = true
		}
	}
	for start := range a.Len() {
		left := maps.Clone(services)
		var r Record
		for walk := a.Services(start); walk.Next(&r); {
			key := fmt.Sprintf("%d %s", r.Port, r.AppendTarget(nil))
			if !left[key] {
				t.Fatalf("%s: service %q from %d on is twice, or none", what, key, start)
			}
			delete(left, key)
			glue, ok := walk.Glue()
			if ok != (a.view != viewList) {
				t.Errorf("%s: glue of %q known: %v", what, key, ok)
			}
			one, ttl, single := walk.OneAddr()
			if single && (glue.Len() != 1 || glue.At(0).Addr != one || glue.TTL() != ttl) {
				t.Errorf("%s: one address %v, glue %s", what, one, show(glue))
			}
		}
		if len(left) > 0 {
			t.Fatalf("%s: from %d on there is no %v", what, start, left)
		}
	}
}

// TestWalksLargeSet: what goes through a Set of many hosts agrees with its
// records, whatever families, names and addresses they have in common.
func TestWalksLargeSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	same := collidingAddrs(6)
	for round := range 40 {
		s := spec(t, "hl.default", Headless)
		for range 1 + rng.IntN(40) {
			h := SetHost{Addr: addr4(rng.IntN(20))}
			switch rng.IntN(4) {
			case 0:
				h.Addr = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(rng.IntN(20))})
			case 1:
				h.Addr = same[rng.IntN(len(same))]
			}
			if rng.IntN(2) == 0 {
				h.Name = fmt.Sprintf("h%d", rng.IntN(6))
			}
			s.Hosts = append(s.Hosts, h)
		}
		s.port("all", TCP, 1)
		for n := range 3 {
			s.port("some", TCP, uint16(n/2+1), rng.IntN(len(s.Hosts)), rng.IntN(len(s.Hosts)), rng.IntN(len(s.Hosts)))
		}
		tree := newTree(t, s)
		for _, name := range []string{"hl.default", "_all._tcp.hl.default", "_some._tcp.hl.default", "h1.hl.default", "h2._some._tcp.hl.default", "*.hl.default"} {
			a := tree.Snapshot().Match(wireName(name), 0)
			checkWalks(t, fmt.Sprintf("round %d, %s", round, name), a, tree.Snapshot().Lookup)
		}
		for _, h := range s.Hosts { // every address and every label leads to its host
			back := tree.Reverse(h.Addr, nil)
			found := false
			for i := range back.Len() {
				r := back.At(i)
				host := tree.Lookup(r.AppendTarget(nil))
				found = slices.Contains(addrsOf(&host, h.Addr.Is6(), nil), h.Addr)
				if !found {
					break
				}
			}
			if !found {
				t.Errorf("round %d: the names of %v are %s, and not all have it", round, h.Addr, show(back))
			}
		}
	}
}

// collidingAddrs returns n IPv6 addresses with one hash label. The hash can be
// run backwards, so it is enough to meet in the middle.
func collidingAddrs(n int) []netip.Addr {
	const prime, target = 16777619, 0x12345678
	inverse := uint32(1)
	for range 31 { // prime^(2^31-1), by squaring
		inverse = inverse * inverse * prime
	}
	forward := func(h uint32, text string) uint32 {
		for i := range len(text) {
			h = (h ^ uint32(text[i])) * prime
		}
		return h
	}
	backward := func(h uint32, text string) uint32 {
		for i := len(text) - 1; i >= 0; i-- {
			h = h*inverse ^ uint32(text[i])
		}
		return h
	}
	firsts := map[uint32]string{}
	for i := range 1 << 16 {
		text := fmt.Sprintf("2001:db8:1:1:1:%x:", 0x1000+i%0xf000)
		if i >= 0xf000 {
			text = fmt.Sprintf("2001:db8:1:1:2:%x:", 0x1000+i%0xf000)
		}
		firsts[forward(2166136261, "&{"+text)] = text
	}
	var addrs []netip.Addr
	const suffix = " 0 10 10  false 30 0  }"
	for i := 0; len(addrs) < n; i++ {
		text := fmt.Sprintf("%x:%x", 0x1000+i/0xf000, 0x1000+i%0xf000)
		if first, ok := firsts[backward(target, text+suffix)]; ok {
			addrs = append(addrs, netip.MustParseAddr(first+text))
		}
	}
	return addrs
}

// TestCollidingLabels: hosts whose labels collide are one name, are all found,
// and each by its own address.
func TestCollidingLabels(t *testing.T) {
	addrs := collidingAddrs(60)
	s := spec(t, "hl.default", Headless).port("http", TCP, 80)
	for _, addr := range addrs {
		s.Hosts = append(s.Hosts, SetHost{Addr: addr})
	}
	s.hosts("10.0.0.1")
	tree := newTree(t, s)
	label := HashLabel(addrs[0])
	if got := tree.Lookup(wireName(label + ".hl.default")); got.Len() != len(addrs) {
		t.Errorf("%d addresses of label %s, want %d", got.Len(), label, len(addrs))
	}
	for _, addr := range addrs {
		if a := tree.Reverse(addr, nil); a.Len() != 1 {
			t.Errorf("%v has the names %s", addr, show(a))
		}
		dashed := string(dnsname.AppendDashed(nil, addr))
		if a := tree.Lookup(wireName(dashed + ".hl.default")); a.Len() != 1 || a.At(0).Addr != addr {
			t.Errorf("%s: %s", dashed, show(a))
		}
	}
	services := tree.Lookup(wireName("_http._tcp.hl.default"))
	n := 0
	var r Record
	for walk := services.Services(0); walk.Next(&r); n++ {
	}
	if n != 2 {
		t.Errorf("%d SRV records, want 2", n)
	}
}

// TestLabelOfBothFamilies: an IPv4 and an IPv6 host of one label are one name.
func TestLabelOfBothFamilies(t *testing.T) {
	v4 := map[uint32]netip.Addr{}
	for i := range 1 << 17 {
		v4[hashLabel(addr4(i))] = addr4(i)
	}
	for i := range 1 << 20 {
		v6 := netip.AddrFrom16([16]byte{0x20, 1, 12: byte(i >> 16), 13: byte(i >> 8), 14: byte(i), 15: 1})
		a4, ok := v4[hashLabel(v6)]
		if !ok {
			continue
		}
		tree := newTree(t, spec(t, "hl.default", Headless).hosts(a4.String(), v6.String(), "10.9.9.9").port("http", TCP, 80))
		label := HashLabel(a4)
		a := tree.Lookup(wireName(label + ".hl.default"))
		if a.Len() != 2 {
			t.Errorf("label %s of %v and %v: %s", label, a4, v6, show(a))
		}
		checkWalks(t, label, a, nil)
		for _, addr := range []netip.Addr{a4, v6} {
			if got, want := show(tree.Reverse(addr, nil)), lines("Found", "10 100 0 "+label+".hl.default"); got != want {
				t.Errorf("reverse of %v: %s", addr, got)
			}
		}
		return
	}
	t.Error("no two addresses of different families have one label")
}
