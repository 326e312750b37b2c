package treecache

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// claim says which owners claim an address. Each owner has one claim of its own, which all
// addresses that no other owner claims share, and which lasts as long as the owner keeps its
// kind and its age. It never changes, except for current.
type claim struct {
	path    Path  // the owner's
	created int64 // as of its Sets, and so is kind
	// current is the owner's Set, nil once the owner has another claim or none. It changes
	// together with the Tree's index for exact lookups, not with a Snapshot, so that the Set
	// of an address is found without searching for its path.
	current atomic.Pointer[Set]
	// several are the claims of all owners, if several claim the same address. All other
	// fields are then zero.
	several *claimants
	kind    Kind
}

// standsFor reports whether c is the claim of an owner that has set.
func (c *claim) standsFor(set *Set) bool { return c.created == set.created && c.kind == set.kind }

// each calls yield for the claim of each owner alone, in answer order, until it
// returns false.
func (c *claim) each(yield func(*claim) bool) {
	if c.several == nil {
		yield(c)
		return
	}
	c.several.each(yield)
}

// reverseIndex holds the claims of all addresses. IPv4 has its own trie, because a cluster
// has many IPv4 addresses, and their keys have a quarter of the size.
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

// set makes c the claim of addr. A nil claim removes the address.
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

// reclaim replaces the addresses of was, claimed by old, with those of is, claimed by now, in
// the reverse index. If both claims are the same, it touches only the addresses that came or
// went.
func (w *writer) reclaim(old *claim, was *Set, now *claim, is *Set) {
	if old != nil && old != now {
		w.difference(was, nil, func(addr netip.Addr) { w.unclaim(addr, old) })
		was = nil
	}
	w.difference(was, is, func(addr netip.Addr) { w.unclaim(addr, now) })
	w.difference(is, was, func(addr netip.Addr) { w.claim(addr, now) })
}

// difference calls f for the addresses that a claims and b does not; it may call f more than
// once for an address. A nil Set claims none.
func (w *writer) difference(a, b *Set, f func(netip.Addr)) {
	if a == nil || !a.kind.claims() {
		return
	}
	if b != nil && !b.kind.claims() {
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
		list := old.several
		switch {
		case old == self, list.has(self):
			return
		case list == nil:
			list = list.inserted(old, s.seed)
		}
		c = &claim{several: list.inserted(self, s.seed)}
	}
	s.reverse.set(s.seed, w.edit, addr, c)
}

func (w *writer) unclaim(addr netip.Addr, self *claim) {
	s := w.snapshot
	old := s.reverse.get(s.seed, addr)
	var c *claim
	switch {
	case old == nil, old != self && !old.several.has(self):
		return
	case old == self:
	case old.several.len() == 2:
		c = old.several.removed(self).claim
	default:
		c = &claim{several: old.several.removed(self)}
	}
	s.reverse.set(s.seed, w.edit, addr, c)
}

// MaxNames is the largest number of names of one address in an answer, however many Services
// have that address.
const MaxNames = 64

// Reverse returns the names of addr as the targets of at most MaxNames records. Names of
// ClusterIP Services come first, then those of older Services, then those with the lesser
// path; within one Service, hosts with a hostname come first. If no Service claims addr, the
// status is NoSuchName.
//
// The records are stored in *scratch, which grows as needed: the Answer is valid until
// *scratch is used again. If scratch is nil, new memory is allocated.
func (s *Snapshot) Reverse(addr netip.Addr, scratch *[]Record) Answer {
	a, _ := s.names(s.claimants(addr), addr, scratch, func(c *claim) *Set { return s.lookup(c.path) })
	return a
}

// Reverse answers like Reverse of the current Snapshot, and costs less.
func (t *Tree) Reverse(addr netip.Addr, scratch *[]Record) Answer {
	s := t.Snapshot()
	c := s.claimants(addr)
	if c == nil {
		return Answer{}
	}
	// These Sets may be newer or older than those of s.
	if a, whole := s.names(c, addr, scratch, (*claim).set); whole {
		return a
	}
	return s.Reverse(addr, scratch)
}

// set returns the current Set of the claim's only owner.
func (c *claim) set() *Set { return c.current.Load() }

// claimants returns the claim of the owners of addr, or nil if there are none.
func (s *Snapshot) claimants(addr netip.Addr) *claim {
	if addr.Is4In6() || !addr.IsValid() {
		return nil
	}
	return s.reverse.get(s.seed, addr.WithZone(""))
}

// names returns the names that the owners of addr give to it, in answer order. It calls setOf
// to get the Set of each owner. whole reports whether every owner gave a name.
func (s *Snapshot) names(c *claim, addr netip.Addr, scratch *[]Record, setOf func(*claim) *Set) (a Answer, whole bool) {
	if c == nil {
		return Answer{}, true
	}
	if scratch == nil {
		scratch = &[]Record{}
	}
	addr = addr.WithZone("")
	list := (*scratch)[:0]
	whole = true
	c.each(func(owner *claim) bool {
		n := len(list)
		if set := setOf(owner); set != nil {
			list = set.appendNames(list, s.zone, addr, MaxNames-n)
		}
		whole = whole && len(list) > n
		return len(list) < MaxNames
	})
	*scratch = list
	if len(list) == 0 {
		return Answer{}, whole
	}
	return ListAnswer(list), whole
}
