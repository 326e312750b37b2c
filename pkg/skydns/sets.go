package skydns

import (
	"hash/maphash"
	"net/netip"
	"slices"
)

// addrSet is a set of addresses. It finds duplicates: an endpoint may have several names, and
// a wildcard may find it twice.
type addrSet struct {
	seed  maphash.Seed // so that nobody can make up addresses that collide
	list  []netip.Addr
	slots []uint16 // open addressing: index in list + 1; empty for a few addresses
}

// linearAddrs is the largest number of addresses that are compared one by one.
const linearAddrs = 8

// reset empties the set, which will get at most n addresses, fewer than 2^16.
func (s *addrSet) reset(n int) {
	s.list = s.list[:0]
	if n <= linearAddrs {
		s.slots = s.slots[:0]
		return
	}
	s.slots = zeroed(s.slots, tableSize(n))
}

// insert puts an address into the set and reports whether it is new there.
func (s *addrSet) insert(addr netip.Addr) bool {
	if len(s.slots) == 0 {
		if slices.Contains(s.list, addr) {
			return false
		}
		s.list = append(s.list, addr)
		return true
	}
	b := addr.As16()
	mask := len(s.slots) - 1
	i := int(maphash.Bytes(s.seed, b[:])>>32) & mask
	for s.slots[i] != 0 {
		if s.list[s.slots[i]-1] == addr {
			return false
		}
		i = (i + 1) & mask
	}
	s.list = append(s.list, addr)
	s.slots[i] = uint16(len(s.list))
	return true
}

// hashSet is a set of 64-bit hashes. Things with the same hash count as equal, which must be
// harmless for the user of the set.
type hashSet struct {
	slots []uint64
}

// reset empties the set, which will get at most n hashes.
func (s *hashSet) reset(n int) { s.slots = zeroed(s.slots, tableSize(n)) }

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
func zeroed[T uint16 | uint64](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
