package answercache

import (
	"bytes"
	"slices"
	"sync"
)

// shard is one part of the cache: a table of entries in open addressing, and
// SIEVE's queue through the entries in the order of insertion.
//
// entries[0] is not an entry but the queue's two ends: its older neighbour is
// the newest entry, its newer neighbour the oldest one.
type shard struct {
	mu      sync.Mutex
	slots   []uint64 // tag << 32 | number of the entry; 0 is empty
	entries []entry
	free    uint32 // first unused entry, chained by older
	hand    uint32 // where the next sweep begins; 0 is at the oldest
	count   int
	bytes   int64

	maxEntries int
	maxBytes   int64
	staleFor   uint32
	recheck    uint32
	stats      Stats
}

// sweepLimit bounds the entries that one eviction passes by. With all bits set
// SIEVE would visit the whole queue; here the entry at the limit goes, whether
// it was asked for or not.
const sweepLimit = 256

const firstSlots = 64

func (s *shard) init(maxEntries int, maxBytes int64, staleFor, recheck uint32) {
	s.maxEntries, s.maxBytes, s.staleFor, s.recheck = maxEntries, maxBytes, staleFor, recheck
	s.empty()
}

func (s *shard) empty() {
	s.slots = make([]uint64, firstSlots)
	s.entries = make([]entry, 1, 16)
	s.free, s.hand, s.count, s.bytes = 0, 0, 0, 0
}

func (s *shard) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty()
}

// snapshot returns a copy of all entries.
func (s *shard) snapshot() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.entries[1:])
	return slices.DeleteFunc(all, func(e entry) bool { return e.slab == nil })
}

// dead reports whether an entry is past every use.
func (s *shard) dead(e *entry, now int64) bool {
	over := now - e.expires()
	switch {
	case over < 0:
		return false
	case e.failure || s.staleFor == 0:
		return true
	}
	return s.staleFor != Forever && over >= int64(s.staleFor)*second
}

func (s *shard) get(key []byte, hash uint64, now int64, allowStale bool) (f found, result Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(key, hash)
	if i == 0 {
		s.stats.Misses++
		return f, Miss
	}
	e := &s.entries[i]
	switch {
	case now < e.expires():
		result = Hit
		if e.failure {
			result = Failed
		}
	case s.dead(e, now):
		s.remove(i)
		s.stats.Misses++
		return f, Miss
	case !allowStale && now >= e.failedUntil:
		e.visited = true
		s.stats.Misses++
		return f, Expired
	default:
		result = Stale
		s.stats.Stale++
		f.stale = true
	}
	s.stats.Hits++
	e.visited = true
	f.slab = e.slab
	f.age = uint32(max(now-e.stored, 0) / second)
	f.turn = e.hits
	e.hits++
	return f, result
}

// put stores or replaces an entry and makes room for it.
func (s *shard) put(key []byte, hash uint64, e entry, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putLocked(key, hash, e, now)
}

func (s *shard) putLocked(key []byte, hash uint64, e entry, now int64) bool {
	cost := e.cost()
	if cost > s.maxBytes {
		return false
	}
	e.tag = uint32(hash)
	if i := s.find(key, hash); i != 0 {
		old := &s.entries[i]
		s.bytes += cost - old.cost()
		e.newer, e.older, e.visited = old.newer, old.older, old.visited
		*old = e
	} else {
		for s.count >= s.maxEntries {
			s.evict(now)
		}
		s.add(e)
		s.bytes += cost
	}
	s.stats.Insertions++
	for s.bytes > s.maxBytes {
		s.evict(now)
	}
	return true
}

// fail remembers a failure, unless an answer is there.
func (s *shard) fail(key []byte, hash uint64, e entry, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(key, hash); i != 0 && !s.entries[i].failure && !s.dead(&s.entries[i], now) {
		old := &s.entries[i]
		if now < old.expires() {
			return false
		}
		old.failedUntil = now + int64(s.recheck)*second
		return true
	}
	return s.putLocked(key, hash, e, now)
}

// add appends an entry to the queue and the table.
func (s *shard) add(e entry) {
	i := s.free
	if i != 0 {
		s.free = s.entries[i].older
	} else {
		s.entries = append(s.entries, entry{})
		i = uint32(len(s.entries) - 1)
	}
	newest := s.entries[0].older
	e.newer, e.older = 0, newest
	s.entries[i] = e
	s.entries[0].older = i
	s.entries[newest].newer = i
	s.count++
	s.insertSlot(e.tag, i)
}

// remove takes an entry out of the queue and the table.
func (s *shard) remove(i uint32) {
	e := &s.entries[i]
	s.entries[e.newer].older = e.older
	s.entries[e.older].newer = e.newer
	if s.hand == i {
		s.hand = e.newer
	}
	s.count--
	s.bytes -= e.cost()
	s.deleteSlot(e.tag, i)
	*e = entry{older: s.free}
	s.free = i
}

// evict removes one entry: the first from the hand on towards newer ones that
// was not asked for since the hand last passed, or that is dead.
func (s *shard) evict(now int64) {
	i := s.hand
	for range sweepLimit {
		if i == 0 {
			i = s.entries[0].newer
		}
		e := &s.entries[i]
		if !e.visited || s.dead(e, now) {
			break
		}
		e.visited = false
		i = e.newer
	}
	if i == 0 {
		i = s.entries[0].newer
	}
	if now < s.entries[i].expires() {
		s.stats.Evictions++
	}
	s.hand = i
	s.remove(i)
}

// The table: linear probing at the tag's lower bits, deletion by moving later
// slots back, so there are no tombstones.

func (s *shard) find(key []byte, hash uint64) uint32 {
	tag := uint32(hash)
	mask := uint32(len(s.slots) - 1)
	for p := tag & mask; ; p = (p + 1) & mask {
		slot := s.slots[p]
		if slot == 0 {
			return 0
		}
		if uint32(slot>>32) == tag && bytes.HasPrefix(s.entries[uint32(slot)].slab, key) {
			return uint32(slot)
		}
	}
}

func (s *shard) insertSlot(tag, i uint32) {
	if s.count*4 > len(s.slots)*3 {
		old := s.slots
		s.slots = make([]uint64, 2*len(old))
		for _, slot := range old {
			if slot != 0 {
				s.placeSlot(slot)
			}
		}
	}
	s.placeSlot(uint64(tag)<<32 | uint64(i))
}

func (s *shard) placeSlot(slot uint64) {
	mask := uint32(len(s.slots) - 1)
	p := uint32(slot>>32) & mask
	for s.slots[p] != 0 {
		p = (p + 1) & mask
	}
	s.slots[p] = slot
}

func (s *shard) deleteSlot(tag, i uint32) {
	mask := uint32(len(s.slots) - 1)
	p := tag & mask
	for s.slots[p] != uint64(tag)<<32|uint64(i) {
		p = (p + 1) & mask
	}
	for next := (p + 1) & mask; s.slots[next] != 0; next = (next + 1) & mask {
		home := uint32(s.slots[next]>>32) & mask
		if (next-home)&mask >= (next-p)&mask { // its home is not behind the gap
			s.slots[p] = s.slots[next]
			p = next
		}
	}
	s.slots[p] = 0
}
