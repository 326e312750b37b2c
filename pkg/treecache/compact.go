package treecache

import "unsafe"

// compact returns a copy of s in one piece of memory with its path and, where
// they are few, its packed hosts. The index leads to the Set at once, so an
// address lookup touches memory that is rarely in the processor's cache in one
// place, not in three. The path is copied even when it is shared otherwise.
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
		c.hashed.packed, room = place(room, s.hashed.packed)
	}
	path, _ := place(room, string(s.path))
	c.path = Path(path)
	return c
}

// maxCompactHosts is how many octets of hosts are kept with their Set.
const maxCompactHosts = 2 * wideHost

// place copies text to the beginning of room, and returns it there, and the
// rest of room. The caller never writes there again.
func place(room []byte, text string) (string, []byte) {
	n := copy(room, text)
	return unsafe.String(&room[0], n), room[n:]
}

// newCompact returns a new Set and at least n octets behind it, none when n is
// more than any service name needs.
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
