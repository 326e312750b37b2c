package answercache

import "sync/atomic"

// table finds entries by their keys. It is a hash table with open addressing and linear probing;
// removal moves later slots back, so there are no tombstones. All types of a name have the same
// first slot, so their slots share a cache line or two.
//
// Only one goroutine at a time may change it, under the shard's lock, while any number of others
// read it. They see complete entries, because entries do not change, but may miss one that is
// being moved. A lookup under the shard's lock misses none.
type table struct{ slots []slot }

// slot holds one entry, or none.
type slot struct {
	tag   atomic.Uint32         // probe.tag or probe.nx of the entry; may be wrong while the slot changes
	home  uint32                // probe.home of the entry; only under the shard's lock
	entry atomic.Pointer[entry] // nil if the slot is empty
}

const firstSlots = 64

// probe says where in a table the entries of a question are.
type probe struct {
	home uint32 // index of the first slot, before masking
	tag  uint32 // tag of the question's own entry
	nx   uint32 // tag of the entry that says that the name does not exist
}

// probeOf returns the probe of a key. hash is the hash of the key without its type; its upper bits
// choose the shard.
func probeOf(hash uint64, qtype uint16) probe {
	const odd = 0x9e3779b1 // the golden ratio in 32 bits, to distribute the types
	nx := uint32(hash >> 24)
	return probe{home: uint32(hash), tag: nx + uint32(qtype)*odd, nx: nx}
}

func newTable(slots int) *table { return &table{slots: make([]slot, slots)} }

// find returns key's entry, and the entry that says that its name does not exist. It does not look
// for the second one if it finds an answer that is valid at now.
func (t *table) find(key []byte, at probe, now int64) (own, nx *entry) {
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

// full reports whether the table is too small for count entries.
func (t *table) full(count int) bool { return count*4 > len(t.slots)*3 }

// grown returns a table with twice as many slots and the same entries.
func (t *table) grown() *table {
	larger := newTable(2 * len(t.slots))
	for i := range t.slots {
		if s := &t.slots[i]; s.entry.Load() != nil {
			larger.insert(s.entry.Load(), s.home, s.tag.Load())
		}
	}
	return larger
}

// maxTypes is the largest number of entries of one name. Their slots are consecutive, and other
// lookups that start among them must pass them. Without this limit, a client could slow down
// everyone by asking for one name with every possible type.
const maxTypes = 32

// crowd returns the oldest entry of a name that has maxTypes entries, and nil for other names.
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

// insert adds an entry, which must not be in the table, to a table that is not full.
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

// at returns the index of the slot of an entry, which must be in the table.
func (t *table) at(e *entry, home uint32) uint32 {
	mask := uint32(len(t.slots) - 1)
	p := home & mask
	for t.slots[p].entry.Load() != e {
		p = (p + 1) & mask
	}
	return p
}

// replace puts e into the slot of old, which has the same key.
func (t *table) replace(old, e *entry, home uint32) {
	t.slots[t.at(old, home)].entry.Store(e)
}

// remove removes an entry, which must be in the table.
func (t *table) remove(e *entry, home uint32) {
	mask := uint32(len(t.slots) - 1)
	p := t.at(e, home)
	for next := (p + 1) & mask; ; next = (next + 1) & mask {
		s := &t.slots[next]
		moving := s.entry.Load()
		if moving == nil {
			break
		}
		if (next-s.home)&mask >= (next-p)&mask { // its home is not after the gap
			t.slots[p].set(moving, s.home, s.tag.Load())
			p = next
		}
	}
	t.slots[p].entry.Store(nil)
}
