package answercache

import "iter"

// Epoch identifies the time between two purges of one Cache. Call [Cache.Epoch] before you
// decide which server to ask, and pass the result to the Store methods with the answer:
// answers to questions asked before a purge are not stored after it. With the zero value
// nothing is stored.
type Epoch struct {
	cache  *Cache
	n      uint64
	origin uint32
}

// From returns e with origin, a number for the server that gave the answer: at most 1<<31-1, or
// 0 if there is none. The Store methods keep it with the entry, and [Item] returns it.
func (e Epoch) From(origin uint32) Epoch {
	e.origin = origin
	return e
}

// Epoch returns the current epoch.
func (c *Cache) Epoch() Epoch {
	if c == nil {
		return Epoch{}
	}
	return Epoch{cache: c, n: c.epoch.Load()}
}

// purgeStep is how many entries are copied while a shard's lock is held. It limits how long a
// Store has to wait.
const purgeStep = 256

// Purge removes every entry for which keep returns false, whether it is an answer, a negative
// answer, a failure or an expired entry, and returns the number of removed entries. name is
// the name in the question, in canonical wire form; keep must not change it. typ is the type
// in the question. For an entry which says that a name does not exist, typ is the type in the
// question that led to it, although the entry is for all types.
//
// Purge begins a new [Epoch]: answers to questions asked earlier are no longer stored, even
// those that keep would accept. When Purge returns, no entry that keep rejects is left, and
// none can be stored because of a question that is already on its way.
//
// Lookups continue meanwhile. keep is called without a lock, so it may use c.
func (c *Cache) Purge(keep func(name []byte, typ uint16) bool) (removed int) {
	if c == nil {
		return 0
	}
	c.epoch.Add(1)
	for i := range c.shards {
		removed += c.shards[i].purge(keep)
	}
	return removed
}

// Clear removes all entries and begins a new [Epoch]. It does not reset the counters.
func (c *Cache) Clear() {
	if c == nil {
		return
	}
	c.epoch.Add(1)
	for i := range c.shards {
		c.shards[i].clear()
	}
}

// current reports whether answers of epoch may be stored. The result is only reliable under
// the lock of the shard that is to hold the answer: Purge begins the new epoch before it takes
// any of these locks.
func (c *Cache) current(epoch Epoch) bool {
	return epoch.cache == c && epoch.n == c.epoch.Load()
}

// purge is Cache.Purge for one shard. Entries stored meanwhile belong to the
// new epoch, so it does not matter whether it sees them.
func (s *shard) purge(keep func(name []byte, typ uint16) bool) (removed int) {
	for entries := range s.parts() {
		rejected := entries[:0]
		for _, e := range entries {
			key := e.key()
			end := len(key) - keyTail
			if !keep(key[:end:end], keyType(key)) {
				rejected = append(rejected, e)
			}
		}
		removed += s.removeAll(rejected)
	}
	return removed
}

// parts yields all entries, some at a time, in a slice that is used again. The lock is not held
// meanwhile.
func (s *shard) parts() iter.Seq[[]*entry] {
	return func(yield func([]*entry) bool) {
		part := make([]*entry, 0, purgeStep)
		for at, more := 0, true; more; {
			part = part[:0]
			s.mu.Lock()
			for ; at < len(s.queue) && len(part) < purgeStep; at++ {
				if e := s.queue[at].entry; e != nil {
					part = append(part, e)
				}
			}
			more = at < len(s.queue)
			s.mu.Unlock()
			if !yield(part) {
				return
			}
		}
	}
}

// removeAll removes each of entries that is still stored, and returns the number of removed
// entries.
func (s *shard) removeAll(entries []*entry) (removed int) {
	if len(entries) == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if int(e.node) < len(s.queue) && s.queue[e.node].entry == e {
			s.remove(e)
			removed++
		}
	}
	return removed
}
