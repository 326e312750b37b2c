package treecache

import "unsafe"

// compact returns a copy of s that is one piece of memory with its path and, if
// they are few, its packed hosts. The index leads straight to the Set, so an
// address lookup touches uncached memory in one place instead of three. The path
// is copied even if it is shared elsewhere.
func (s *Set) compact() *Set {
	n := len(s.path)
	hosts := len(s.hashed.packed) <= maxCompactHosts
	if hosts {
		n += len(s.hashed.packed)
	}
	c, room := newCompact(n)
	*c = *s
	if len(room) == 0 {
		return c
	}
	if hosts && s.hashed.packed != "" {
		c.hashed.packed, room = copyText(room, s.hashed.packed)
	}
	path, _ := copyText(room, string(s.path))
	c.path = Path(path)
	return c
}

// maxCompactHosts is the number of octets of hosts that are kept with their Set.
const maxCompactHosts = 2 * wideHost

// copyText copies text to the beginning of room. It returns the copy and the rest
// of room. The caller must not write to the copied part again.
func copyText(room []byte, text string) (string, []byte) {
	n := copy(room, text)
	return unsafe.String(&room[0], n), room[n:]
}

// newCompact returns a new Set with at least n octets behind it, or with none if
// n is more than any service name needs.
func newCompact(n int) (*Set, []byte) {
	switch {
	case n <= 32:
		m := new(struct {
			Set
			room [32]byte
		})
		return &m.Set, m.room[:]
	case n <= 48:
		m := new(struct {
			Set
			room [48]byte
		})
		return &m.Set, m.room[:]
	case n <= 64:
		m := new(struct {
			Set
			room [64]byte
		})
		return &m.Set, m.room[:]
	case n <= 96:
		m := new(struct {
			Set
			room [96]byte
		})
		return &m.Set, m.room[:]
	case n <= 144:
		m := new(struct {
			Set
			room [144]byte
		})
		return &m.Set, m.room[:]
	}
	return new(Set), nil
}
