package treecache

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
)

// claim says which owners claim an address. It is immutable. The claim of a
// single owner is shared by all its addresses.
type claim struct {
	paths []Path // ordered
}

// reverseIndex holds the claims of all addresses. IPv4 has a trie of its own:
// its keys are a quarter the size, and a cluster has many.
type reverseIndex struct {
	v4 trie[[4]byte, *claim]
	v6 trie[[16]byte, *claim]
}

// size returns the number of addresses.
func (x *reverseIndex) size() int { return x.v4.size + x.v6.size }

func (x *reverseIndex) get(seed maphash.Seed, addr netip.Addr) *claim {
	var c **claim
	if addr.Is4() {
		ip := addr.As4()
		c = x.v4.get(maphash.Bytes(seed, ip[:]), ip)
	} else {
		ip := addr.As16()
		c = x.v6.get(maphash.Bytes(seed, ip[:]), ip)
	}
	if c == nil {
		return nil
	}
	return *c
}

// set makes c the claim of addr; nil takes it away.
func (x *reverseIndex) set(seed maphash.Seed, edit uint64, addr netip.Addr, c *claim) {
	hash4 := func(ip [4]byte) uint64 { return maphash.Bytes(seed, ip[:]) }
	hash6 := func(ip [16]byte) uint64 { return maphash.Bytes(seed, ip[:]) }
	switch {
	case addr.Is4() && c != nil:
		x.v4.put(edit, hash4(addr.As4()), addr.As4(), c, hash4)
	case addr.Is4():
		x.v4.remove(edit, hash4(addr.As4()), addr.As4())
	case c != nil:
		x.v6.put(edit, hash6(addr.As16()), addr.As16(), c, hash6)
	default:
		x.v6.remove(edit, hash6(addr.As16()), addr.As16())
	}
}

// reclaim brings the reverse index from the addresses of was to those of is,
// both of one owner, and touches only those that came or went.
func (w *writer) reclaim(self *claim, was, is *Set) {
	w.difference(was, is, func(addr netip.Addr) { w.unclaim(addr, self.paths[0]) })
	w.difference(is, was, func(addr netip.Addr) { w.claim(addr, self) })
}

// difference calls f for the addresses that a claims and b does not, some of
// them more than once. An external name, and no Set, claims none.
func (w *writer) difference(a, b *Set, f func(netip.Addr)) {
	if a == nil || a.kind == ExternalName {
		return
	}
	if b != nil && b.kind == ExternalName {
		b = nil
	}
	j := 0
	for i := range a.hashed.len() {
		if b != nil { // both are in the same order
			for j < b.hashed.len() && b.hashed.compare(j, &a.hashed, i) < 0 {
				j++
			}
			if j < b.hashed.len() && b.hashed.compare(j, &a.hashed, i) == 0 {
				continue
			}
		}
		if addr := a.hashed.addr(i); b == nil || !b.has(addr) {
			f(addr)
		}
	}
	for _, h := range a.named.all() {
		if addr := netip.AddrFrom16(h.addr).Unmap(); b == nil || !b.has(addr) {
			f(addr)
		}
	}
}

func (w *writer) claim(addr netip.Addr, self *claim) {
	s, c := w.snapshot, self
	if old := s.reverse.get(s.seed, addr); old != nil {
		at, found := slices.BinarySearch(old.paths, self.paths[0])
		if found {
			return
		}
		c = &claim{paths: with(old.paths, at, self.paths[0])}
	}
	s.reverse.set(s.seed, w.edit, addr, c)
}

func (w *writer) unclaim(addr netip.Addr, path Path) {
	s := w.snapshot
	old := s.reverse.get(s.seed, addr)
	if old == nil {
		return
	}
	at, found := slices.BinarySearch(old.paths, path)
	if !found {
		return
	}
	var c *claim
	if paths := without(old.paths, at); len(paths) == 1 { // share the claim of the owner that is left
		_, c = s.find(paths[0])
	} else if len(paths) > 1 {
		c = &claim{paths: paths}
	}
	s.reverse.set(s.seed, w.edit, addr, c)
}

// Reverse answers with every name that claims addr, in answer order: ClusterIPs
// first, then hosts with a hostname, then the others; of equals the older
// Service first, then by path. The names are the records' targets. It is
// NoSuchName when nobody claims addr.
//
// The records are in *scratch, which grows as needed: the Answer is good until
// that is used again. nil stands for a new one.
func (s *Snapshot) Reverse(addr netip.Addr, scratch *[]Record) Answer {
	return s.rank(s.claimants(addr), addr, scratch, s.lookup)
}

// Reverse answers as that of the current Snapshot, and costs less.
func (t *Tree) Reverse(addr netip.Addr, scratch *[]Record) Answer {
	s := t.Snapshot()
	paths := s.claimants(addr)
	if len(paths) == 0 {
		return Answer{}
	}
	// The Sets may be newer or older than s.
	if a := s.rank(paths, addr, scratch, t.exact.get); a.Len() >= len(paths) {
		return a
	}
	return s.rank(paths, addr, scratch, s.lookup)
}

// claimants returns the paths of the owners that claim addr.
func (s *Snapshot) claimants(addr netip.Addr) []Path {
	if addr.Is4In6() || !addr.IsValid() {
		return nil
	}
	if c := s.reverse.get(s.seed, addr.WithZone("")); c != nil {
		return c.paths
	}
	return nil
}

// rank answers with the names that the owners at paths give to addr, in answer
// order. find finds their Sets.
func (s *Snapshot) rank(paths []Path, addr netip.Addr, scratch *[]Record, find func(Path) *Set) Answer {
	if len(paths) == 0 {
		return Answer{}
	}
	if scratch == nil {
		scratch = &[]Record{}
	}
	addr = addr.WithZone("")
	list := (*scratch)[:0]
	var few [8]int64
	created := few[:0] // when the owner of each in list was
	for _, p := range paths {
		set := find(p)
		if set == nil {
			continue
		}
		n := len(list)
		list = set.claims(list, s.zone, addr)
		for range list[n:] {
			created = append(created, set.created)
		}
	}
	*scratch = list
	// Few claim one address; equals keep their order.
	for i := range list {
		for j := i; j > 0 && cmp.Or(cmp.Compare(list[j-1].rank(), list[j].rank()), cmp.Compare(created[j-1], created[j])) > 0; j-- {
			list[j-1], list[j] = list[j], list[j-1]
			created[j-1], created[j] = created[j], created[j-1]
		}
	}
	if len(list) == 0 {
		return Answer{}
	}
	return ListAnswer(list)
}

// rank orders the claimants of an address.
func (r *Record) rank() int {
	switch {
	case r.hashed:
		return 2
	case r.label != "":
		return 1
	}
	return 0
}
