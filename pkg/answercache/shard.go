package answercache

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// shard is one part of the cache: a table of entries, and SIEVE's queue through
// them in the order of insertion. Only changes take the lock; hits do not.
//
// queue[0] is not an entry's place but the queue's two ends: its older
// neighbour is the newest entry, its newer neighbour the oldest one.
type shard struct {
	table atomic.Pointer[table]
	_     [56]byte // what follows is written at every change

	mu    sync.Mutex
	queue []node
	free  uint32 // first unused place, chained by older
	hand  uint32 // where the next sweep begins; 0 is at the oldest
	count int
	bytes int64

	maxEntries int
	maxBytes   int64
	staleFor   uint32
	recheck    uint32
	stats      Stats
}

// node is an entry's place in the queue and what only changes need to know of
// it.
type node struct {
	entry        *entry // nil: unused
	newer, older uint32 // neighbours in the order of insertion
	home         uint32 // in the table
	// failedUntil is the time until which a failure to refresh the expired
	// answer is remembered, in nanoseconds.
	failedUntil int64
}

// sweepLimit bounds the entries that one eviction passes by. With all bits set
// SIEVE would visit the whole queue; here the entry at the limit goes, whether
// it was asked for or not.
const sweepLimit = 256

func (s *shard) init(maxEntries int, maxBytes int64, staleFor, recheck uint32) {
	s.maxEntries, s.maxBytes, s.staleFor, s.recheck = maxEntries, maxBytes, staleFor, recheck
	s.empty()
}

func (s *shard) empty() {
	s.table.Store(newTable(firstSlots))
	s.queue = make([]node, 1, 16)
	s.free, s.hand, s.count, s.bytes = 0, 0, 0, 0
}

func (s *shard) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty()
}

// snapshot returns all entries.
func (s *shard) snapshot() []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*entry, 0, s.count)
	for i := range s.queue {
		if e := s.queue[i].entry; e != nil {
			all = append(all, e)
		}
	}
	return all
}

// dead reports whether an entry is past every use.
func (s *shard) dead(e *entry, now int64) bool {
	over := now - e.expires
	switch {
	case over < 0:
		return false
	case e.flags&kindFailure != 0:
		return over >= int64(e.life)*second // until then another one lasts longer
	case s.staleFor == 0:
		return true
	}
	return s.staleFor != Forever && over >= int64(s.staleFor)*second
}

// get is a lookup that knows for sure, and that finds expired answers. The
// entry is nil for Miss and Expired.
func (s *shard) get(key []byte, at place, now int64, allowStale bool) (*entry, Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, nx := s.table.Load().find(key, at, now)
	if e := best(own, nx, now); e != nil {
		e.visit()
		return e, e.result()
	}
	for _, e := range [...]*entry{own, nx} {
		if e != nil && s.dead(e, now) {
			s.remove(e)
			continue
		}
		if e == nil || e.flags&kindFailure != 0 {
			continue
		}
		e.visit()
		if !allowStale && now >= s.queue[e.node].failedUntil {
			return nil, Expired
		}
		return e, Stale
	}
	return nil, Miss
}

// hasRecords reports whether one of the entries whose key begins with prefix, of
// any type, is a valid answer with records.
func (s *shard) hasRecords(prefix []byte, at place, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	mask := uint32(len(t.slots) - 1)
	for p := at.home & mask; ; p = (p + 1) & mask {
		e := t.slots[p].entry.Load()
		if e == nil {
			return false
		}
		if t.slots[p].home == at.home && e.valid(now) && e.answers > 0 && e.flags&rcodeMask == wire.RcodeSuccess &&
			bytes.Equal(e.key()[:int(e.keyLen)-typeLen], prefix) {
			return true
		}
	}
}

// best is the valid one of what find found, nil if there is none.
func best(own, nx *entry, now int64) *entry {
	switch {
	case own.valid(now) && (own.flags&kindFailure == 0 || !nx.valid(now)):
		return own
	case nx.valid(now):
		return nx
	}
	return nil
}

// result is what a valid entry is to a lookup.
func (e *entry) result() Result {
	if e.flags&kindFailure != 0 {
		return Failed
	}
	return Hit
}

// put stores or replaces an entry and makes room for it. The lock is held.
func (s *shard) put(e *entry, at place, now int64) bool {
	cost := e.cost()
	if cost > s.maxBytes {
		return false
	}
	old, other := s.table.Load().find(e.key(), at, forgotten)
	tag := at.tag
	if e.flags&kindNX != 0 {
		old, other, tag = other, old, at.nx
	}
	if old != nil {
		n := &s.queue[old.node]
		e.node, n.failedUntil, n.entry = old.node, 0, e
		e.visited.Store(old.visited.Load())
		s.bytes += cost - old.cost()
		s.table.Load().replace(old, e, n.home)
	} else {
		if crowd := s.table.Load().crowd(at.home); crowd != nil {
			s.remove(crowd)
			s.stats.Evictions++
		}
		for s.count >= s.maxEntries {
			s.evict(now)
		}
		s.add(e, at.home, tag)
		s.bytes += cost
	}
	// A name exists or it does not: what was said last holds. A failure says
	// nothing about that.
	if other != nil && e.flags&kindFailure == 0 && s.queue[other.node].entry == other {
		s.remove(other)
	}
	s.stats.Insertions++
	for s.bytes > s.maxBytes {
		s.evict(now)
	}
	return true
}

// forgotten is a time at which every entry has expired.
const forgotten = 1<<63 - 1

// fail remembers a failure, unless an answer is there. One that follows another
// lasts twice as long, up to longest seconds. The lock is held.
func (s *shard) fail(e *entry, at place, longest uint32, now int64) bool {
	own, nx := s.table.Load().find(e.key(), at, now)
	answer := own
	if own != nil && own.flags&kindFailure != 0 {
		if own.valid(now) {
			return false // remembered already
		}
		if !s.dead(own, now) {
			e.life = min(2*own.life, longest)
			e.expires = now + int64(e.life)*second
		}
		answer = nx
	} else if own == nil || s.dead(own, now) {
		answer = nx
	}
	if answer == nil || s.dead(answer, now) {
		return s.put(e, at, now)
	}
	if answer.valid(now) || nx.valid(now) {
		return false
	}
	s.queue[answer.node].failedUntil = now + int64(s.recheck)*second
	return true
}

// add appends an entry to the queue and the table.
func (s *shard) add(e *entry, home, tag uint32) {
	i := s.free
	if i != 0 {
		s.free = s.queue[i].older
	} else {
		s.queue = append(s.queue, node{})
		i = uint32(len(s.queue) - 1)
	}
	newest := s.queue[0].older
	s.queue[i] = node{entry: e, older: newest, home: home}
	s.queue[0].older = i
	s.queue[newest].newer = i
	s.count++
	e.node = i
	if s.table.Load().full(s.count) {
		s.table.Store(s.table.Load().grown())
	}
	s.table.Load().insert(e, home, tag)
}

// remove takes an entry out of the queue and the table.
func (s *shard) remove(e *entry) {
	n := &s.queue[e.node]
	s.queue[n.newer].older = n.older
	s.queue[n.older].newer = n.newer
	if s.hand == e.node {
		s.hand = n.newer
	}
	s.count--
	s.bytes -= e.cost()
	s.table.Load().remove(e, n.home)
	*n = node{older: s.free}
	s.free = e.node
}

// evict removes one entry: the first from the hand on towards newer ones that
// was not asked for since the hand last passed, or that is dead.
func (s *shard) evict(now int64) {
	i := s.hand
	for range sweepLimit {
		if i == 0 {
			i = s.queue[0].newer
		}
		e := s.queue[i].entry
		if !e.visited.Load() || s.dead(e, now) {
			break
		}
		e.visited.Store(false)
		i = s.queue[i].newer
	}
	if i == 0 {
		i = s.queue[0].newer
	}
	e := s.queue[i].entry
	if e.valid(now) {
		s.stats.Evictions++
	}
	s.hand = i
	s.remove(e)
}
