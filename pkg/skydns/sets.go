package skydns

import (
	"hash/maphash"
	"net/netip"
)

// hashSet is a set of 64-bit hashes. Things with the same hash count as equal, which must be
// harmless for the user of the set.
type hashSet struct {
	slots []uint64
}

// reset empties the set, which will get at most n hashes.
func (s *hashSet) reset(n int) {
	size := 4 // a power of two, of which n fill at most half
	for size < 2*n {
		size *= 2
	}
	if cap(s.slots) < size {
		s.slots = make([]uint64, size)
		return
	}
	s.slots = s.slots[:size]
	clear(s.slots)
}

// insertAddr puts an address into the set and reports whether it is new there. seed keeps others
// from making up addresses that collide.
func (s *hashSet) insertAddr(seed maphash.Seed, addr netip.Addr) bool {
	b := addr.As16()
	return s.insert(maphash.Bytes(seed, b[:]))
}

// insert puts a hash into the set and reports whether it is new there.
func (s *hashSet) insert(h uint64) bool {
	h = max(h, 1) // 0 is an empty slot
	mask := len(s.slots) - 1
	i := int(h>>32) & mask
	for s.slots[i] != 0 {
		if s.slots[i] == h {
			return false
		}
		i = (i + 1) & mask
	}
	s.slots[i] = h
	return true
}

// has reports whether a hash is in the set.
func (s *hashSet) has(h uint64) bool {
	h = max(h, 1)
	mask := len(s.slots) - 1
	i := int(h>>32) & mask
	for s.slots[i] != 0 && s.slots[i] != h {
		i = (i + 1) & mask
	}
	return s.slots[i] == h
}
