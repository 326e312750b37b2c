package answercache

import "sync/atomic"

// table finds entries by their key: open addressing with linear probing,
// deletion by moving later slots back, so there are no tombstones. The types of
// a name begin at one place, so they share a cache line or two.
//
// One goroutine at a time changes it, any number may look in it meanwhile. They
// see each entry whole, for entries do not change, but may miss one that is
// being moved: who has to be sure looks again under the shard's lock.
type table struct{ slots []slot }

// slot is one place, empty without an entry.
type slot struct {
	tag   atomic.Uint32 // of the entry; it may be wrong while the slot changes
	home  uint32        // of the entry; under the lock
	entry atomic.Pointer[entry]
}

const firstSlots = 64

// place is where a question's entries are to be found.
type place struct {
	home uint32 // the first slot, before the mask
	tag  uint32 // of the question's own entry
	nx   uint32 // of the entry that says that the name does not exist
}

// placeOf takes the hash of a key without its type. The upper bits have chosen
// the shard.
func placeOf(hash uint64, qtype uint16) place {
	const odd = 0x9e3779b1 // the golden ratio in 32 bits, to tell types apart
	nx := uint32(hash >> 24)
	return place{home: uint32(hash), tag: nx + uint32(qtype)*odd, nx: nx}
}

func newTable(slots int) *table { return &table{slots: make([]slot, slots)} }

// find returns key's entry and the one that says that its name does not exist.
// It does not look for the latter once it has an answer that is valid at now.
func (t *table) find(key []byte, at place, now int64) (own, nx *entry) {
	mask := uint32(len(t.slots) - 1)
	for p := at.home & mask; ; p = (p + 1) & mask {
		s := &t.slots[p]
		e := s.entry.Load()
		if e == nil {
			return own, nx
		}
		tag := s.tag.Load()
		if tag != at.tag && tag != at.nx || !e.is(key) {
			continue
		}
		if e.flags&kindNX != 0 {
			nx = e
			continue
		}
		own = e
		if now < e.expires && e.flags&kindFailure == 0 {
			return own, nx
		}
	}
}

// full reports whether a larger table is better for so many entries.
func (t *table) full(count int) bool { return count*4 > len(t.slots)*3 }

// grown returns a table of twice the size with the same entries.
func (t *table) grown() *table {
	larger := newTable(2 * len(t.slots))
	for i := range t.slots {
		if s := &t.slots[i]; s.entry.Load() != nil {
			larger.insert(s.entry.Load(), s.home, s.tag.Load())
		}
	}
	return larger
}

// maxTypes bounds the entries of one name. They stand in a row, which every
// question that begins in it has to pass, so who asks for one name with all the
// types there are would slow down everybody.
const maxTypes = 32

// crowd returns the oldest entry of a name that has maxTypes of them, nil for
// other names.
func (t *table) crowd(home uint32) (oldest *entry) {
	mask := uint32(len(t.slots) - 1)
	count := 0
	for p := home & mask; ; p = (p + 1) & mask {
		s := &t.slots[p]
		e := s.entry.Load()
		switch {
		case e == nil && count >= maxTypes:
			return oldest
		case e == nil:
			return nil
		case s.home == home:
			if count++; count == 1 {
				oldest = e
			}
		}
	}
}

// insert adds an entry that is not there, to a table that is not full.
func (t *table) insert(e *entry, home, tag uint32) {
	mask := uint32(len(t.slots) - 1)
	p := home & mask
	for t.slots[p].entry.Load() != nil {
		p = (p + 1) & mask
	}
	t.slots[p].set(e, home, tag)
}

func (s *slot) set(e *entry, home, tag uint32) {
	s.home = home
	s.tag.Store(tag)
	s.entry.Store(e)
}

// at returns the slot of an entry that is there.
func (t *table) at(e *entry, home uint32) uint32 {
	mask := uint32(len(t.slots) - 1)
	p := home & mask
	for t.slots[p].entry.Load() != e {
		p = (p + 1) & mask
	}
	return p
}

// replace puts e into the place of old, which has the same key.
func (t *table) replace(old, e *entry, home uint32) {
	t.slots[t.at(old, home)].entry.Store(e)
}

// remove takes an entry out.
func (t *table) remove(e *entry, home uint32) {
	mask := uint32(len(t.slots) - 1)
	p := t.at(e, home)
	for next := (p + 1) & mask; ; next = (next + 1) & mask {
		s := &t.slots[next]
		moving := s.entry.Load()
		if moving == nil {
			break
		}
		if (next-s.home)&mask >= (next-p)&mask { // its home is not behind the gap
			t.slots[p].set(moving, s.home, s.tag.Load())
			p = next
		}
	}
	t.slots[p].entry.Store(nil)
}
