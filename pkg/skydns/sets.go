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
func (s *hashSet) reset(n int) { s.slots = zeroed(s.slots, tableSize(n)) }

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

// tableSize returns a power of two that n entries fill at most half.
func tableSize(n int) int {
	size := 4
	for size < 2*n {
		size *= 2
	}
	return size
}

// zeroed returns a slice of n zeros, made of s if that is large enough.
func zeroed(s []uint64, n int) []uint64 {
	if cap(s) < n {
		return make([]uint64, n)
	}
	s = s[:n]
	clear(s)
	return s
}
