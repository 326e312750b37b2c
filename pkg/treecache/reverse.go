package treecache

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync/atomic"
)

// claim says which owners claim an address. Each owner has one of its own, that
// lives as long as the owner does and is shared by all the addresses which nobody
// else claims. It does not change, but for current.
type claim struct {
	path Path // the owner's
	// current is the owner's Set. It changes with the Tree's index for exact
	// lookups, not with a Snapshot: so the Set of an address is found without
	// looking for its path.
	current atomic.Pointer[Set]
	// several are the claims of owners that claim the same address, ordered by
	// path. Then there is neither path nor Set.
	several []*claim
}

// len returns the number of owners.
func (c *claim) len() int {
	if c.several == nil {
		return 1
	}
	return len(c.several)
}

// at returns the claim of owner i alone.
func (c *claim) at(i int) *claim {
	if c.several == nil {
		return c
	}
	return c.several[i]
}

// find returns the place of path among the owners.
func (c *claim) find(path Path) (int, bool) {
	if c.several == nil {
		at := cmp.Compare(path, c.path)
		return max(at, 0), at == 0
	}
	return slices.BinarySearchFunc(c.several, path, func(o *claim, path Path) int { return cmp.Compare(o.path, path) })
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
	w.difference(was, is, func(addr netip.Addr) { w.unclaim(addr, self.path) })
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
		at, found := old.find(self.path)
		if found {
			return
		}
		list := old.several
		if list == nil {
			list = []*claim{old}
		}
		c = &claim{several: with(list, at, self)}
	}
	s.reverse.set(s.seed, w.edit, addr, c)
}

func (w *writer) unclaim(addr netip.Addr, path Path) {
	s := w.snapshot
	old := s.reverse.get(s.seed, addr)
	if old == nil {
		return
	}
	at, found := old.find(path)
	if !found {
		return
	}
	var c *claim
	switch n := old.len(); {
	case n == 2:
		c = old.several[1-at]
	case n > 2:
		c = &claim{several: without(old.several, at)}
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
	return s.rank(s.claimants(addr), addr, scratch, func(c *claim) *Set { return s.lookup(c.path) })
}

// Reverse answers as that of the current Snapshot, and costs less.
func (t *Tree) Reverse(addr netip.Addr, scratch *[]Record) Answer {
	s := t.Snapshot()
	c := s.claimants(addr)
	if c == nil {
		return Answer{}
	}
	// The Sets may be newer or older than s.
	if a := s.rank(c, addr, scratch, (*claim).set); a.Len() >= c.len() {
		return a
	}
	return s.Reverse(addr, scratch)
}

// set returns the current Set of the one owner.
func (c *claim) set() *Set { return c.current.Load() }

// claimants returns the claim of the owners of addr, nil when there are none.
func (s *Snapshot) claimants(addr netip.Addr) *claim {
	if addr.Is4In6() || !addr.IsValid() {
		return nil
	}
	return s.reverse.get(s.seed, addr.WithZone(""))
}

// rank answers with the names that the owners of addr give to it, in answer
// order. setOf returns the Set of one of them.
func (s *Snapshot) rank(c *claim, addr netip.Addr, scratch *[]Record, setOf func(*claim) *Set) Answer {
	if c == nil {
		return Answer{}
	}
	if scratch == nil {
		scratch = &[]Record{}
	}
	addr = addr.WithZone("")
	list := (*scratch)[:0]
	var few [8]int64
	created := few[:0] // when the owner of each in list was
	for i := range c.len() {
		set := setOf(c.at(i))
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
