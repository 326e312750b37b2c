package skydns

import (
	"net/netip"
	"slices"
)

// addrSet collects addresses in order and without duplicates: an endpoint may
// have several names, and a wildcard may meet it twice.
type addrSet struct {
	list  []netip.Addr
	slots []uint16 // open addressing: index in list + 1; empty for a few addresses
}

const (
	// linearAddrs is up to how many addresses are compared one by one.
	linearAddrs = 8
	// maxAddrs is more than a message can hold.
	maxAddrs = 1<<16 - 1
)

// reset empties the set, which will get at most n addresses.
func (s *addrSet) reset(n int) {
	s.list = s.list[:0]
	if n <= linearAddrs {
		s.slots = s.slots[:0]
		return
	}
	s.slots = zeroed(s.slots, tableSize(min(n, maxAddrs)))
}

// add appends an address unless it is there already, and reports whether it did.
func (s *addrSet) add(addr netip.Addr) bool {
	if len(s.list) == maxAddrs {
		return false
	}
	if len(s.slots) == 0 {
		if slices.Contains(s.list, addr) {
			return false
		}
		s.list = append(s.list, addr)
		return true
	}
	b := addr.As16()
	h := uint64(b[12])<<24 | uint64(b[13])<<16 | uint64(b[14])<<8 | uint64(b[15])
	h ^= uint64(b[8])<<56 | uint64(b[9])<<48 | uint64(b[10])<<40 | uint64(b[11])<<32
	mask := len(s.slots) - 1
	i := int(h*0x9e3779b97f4a7c15>>32) & mask
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

// hashSet remembers 64-bit hashes. Two things with one hash are taken for the
// same, which must be harmless to the user.
type hashSet struct {
	slots []uint64
}

// reset empties the set, which will get at most n hashes.
func (s *hashSet) reset(n int) { s.slots = zeroed(s.slots, tableSize(n)) }

// add adds a hash and reports whether it is new.
func (s *hashSet) add(h uint64) bool {
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

// has reports whether a hash was added.
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
