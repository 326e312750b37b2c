package answercache

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// shard is one part of the cache: a table of entries, and SIEVE's queue of them in order of
// insertion. Changes take the lock; hits do not.
//
// queue[0] does not belong to an entry but holds both ends of the queue: its older neighbour
// is the newest entry, its newer neighbour the oldest one.
type shard struct {
	table atomic.Pointer[table] // read without the lock, replaced under it
	_     [56]byte              // puts the fields below, which change often, into other cache lines

	// mu protects the fields below and changes of the table.
	mu    sync.Mutex
	queue []queueNode // the nodes; see queueNode
	free  uint32      // index of the first unused node; unused nodes are linked by older
	hand  uint32      // index at which the next eviction begins; 0 means at the oldest entry
	count int         // number of entries
	bytes int64       // sum of their costs, in octets

	cfg        *Config // of the cache; does not change, nor do the next two
	maxEntries int     // largest count
	maxBytes   int64   // largest bytes
	stats      Stats   // only Insertions and Evictions are used
}

// queueNode is an entry's element of the queue, with data that only changes need.
type queueNode struct {
	entry        *entry // nil if unused
	newer, older uint32 // indices of the neighbours in order of insertion
	home         uint32 // probe.home of the entry
	// failedUntil is the time, in nanoseconds, until which a failure to refresh the
	// expired answer is remembered.
	failedUntil int64
}

// sweepLimit is how many entries one eviction passes. If all bits are set, SIEVE would visit the
// whole queue; here the entry at the limit is evicted, even if its bit is set.
const sweepLimit = 256

// clear removes all entries.
func (s *shard) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Store(newTable(firstSlots))
	s.queue = make([]queueNode, 1, 16)
	s.free, s.hand, s.count, s.bytes = 0, 0, 0, 0
}

// dead reports whether an entry can no longer be used at now, not even as a stale answer.
func (s *shard) dead(e *entry, now int64) bool {
	over := now - e.expires
	switch {
	case over < 0:
		return false
	case e.flags&kindFailure != 0:
		return over >= int64(e.life)*second // until then, it makes the next failure last longer
	case s.cfg.StaleFor == 0:
		return true
	}
	return s.cfg.StaleFor != Forever && over >= int64(s.cfg.StaleFor)*second
}

// lookup finds an entry under the lock, so that it misses none. It also finds expired answers.
// The entry is nil for Miss and Expired.
func (s *shard) lookup(key []byte, at probe, now int64, allowStale bool) (*entry, LookupResult) {
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

// hasRecords reports whether any of the entries whose key begins with prefix is a valid answer
// with records.
func (s *shard) hasRecords(prefix []byte, at probe, now int64) bool {
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

// best returns the entry to use of the two that find returned, or nil if none is valid.
func best(own, nx *entry, now int64) *entry {
	switch {
	case own.valid(now) && (own.flags&kindFailure == 0 || !nx.valid(now)):
		return own
	case nx.valid(now):
		return nx
	}
	return nil
}

// result returns the result of a lookup that found e, which is valid.
func (e *entry) result() LookupResult {
	switch {
	case e.flags&(kindFailure|kindHinted) == 0:
		return Hit
	case e.flags&kindHinted != 0:
		return Hinted
	}
	return Failed
}

// putEntry stores or replaces an entry and evicts others if necessary. It returns false if the
// entry is larger than the shard. s.mu must be held.
func (s *shard) putEntry(e *entry, at probe, now int64) bool {
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
		if old.mark.Load()&visited != 0 {
			e.visit()
		}
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
		s.addEntry(e, at.home, tag)
		s.bytes += cost
	}
	// The latest answer decides whether the name exists. A failure does not tell.
	if other != nil && e.flags&kindFailure == 0 && s.queue[other.node].entry == other {
		s.remove(other)
	}
	s.stats.Insertions++
	for s.bytes > s.maxBytes {
		s.evict(now)
	}
	return true
}

// forgotten is a time at which every entry has expired, so that find returns both entries.
const forgotten = 1<<63 - 1

// fail stores a failure unless there is an answer. Each failure that follows another one is
// remembered for twice as long, up to Config.FailureMaxTTL. It reports whether it changed anything.
// s.mu must be held.
func (s *shard) fail(e *entry, at probe, now int64) bool {
	own, nx := s.table.Load().find(e.key(), at, now)
	answer := own
	if own != nil && own.flags&kindFailure != 0 {
		if own.valid(now) {
			return false // the failure is already stored
		}
		if !s.dead(own, now) {
			e.life = min(2*own.life, s.cfg.FailureMaxTTL)
			e.expires = now + int64(e.life)*second
		}
		answer = nx
	} else if own == nil || s.dead(own, now) {
		answer = nx
	}
	if answer == nil || s.dead(answer, now) {
		return s.putEntry(e, at, now)
	}
	if answer.valid(now) || nx.valid(now) {
		return false
	}
	s.queue[answer.node].failedUntil = now + int64(s.cfg.StaleRecheck)*second
	return true
}

// addEntry adds an entry to the queue and the table. s.mu must be held.
func (s *shard) addEntry(e *entry, home, tag uint32) {
	i := s.free
	if i != 0 {
		s.free = s.queue[i].older
	} else {
		s.queue = append(s.queue, queueNode{})
		i = uint32(len(s.queue) - 1)
	}
	newest := s.queue[0].older
	s.queue[i] = queueNode{entry: e, older: newest, home: home}
	s.queue[0].older = i
	s.queue[newest].newer = i
	s.count++
	e.node = i
	if s.table.Load().full(s.count) {
		s.table.Store(s.table.Load().grown())
	}
	s.table.Load().insert(e, home, tag)
}

// remove removes an entry from the queue and the table. s.mu must be held.
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
	*n = queueNode{older: s.free}
	s.free = e.node
}

// evict removes one entry: the first, from the hand towards newer ones, that has not been looked
// up since the hand last passed it, or that is dead. s.mu must be held.
func (s *shard) evict(now int64) {
	i := s.hand
	for range sweepLimit {
		if i == 0 {
			i = s.queue[0].newer
		}
		e := s.queue[i].entry
		if e.mark.Load()&visited == 0 || s.dead(e, now) {
			break
		}
		e.leave()
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
