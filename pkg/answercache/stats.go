package answercache

import "github.com/kube-dns/kube-dns/pkg/wire"

// Stats counts what happened since New.
type Stats struct {
	Hits       uint64 // answers given, failures and stale ones included
	Misses     uint64 // lookups that gave none
	Stale      uint64 // expired answers given
	Insertions uint64 // answers and failures stored
	Evictions  uint64 // removed for want of room before they expired
	Entries    int    // stored now, expired ones included
	Bytes      int64  // memory accounted for now
}

// Stats returns the counters, summed over the shards one after the other.
func (c *Cache) Stats() Stats {
	var sum Stats
	if c == nil {
		return sum
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sum.Hits += s.stats.Hits
		sum.Misses += s.stats.Misses
		sum.Stale += s.stats.Stale
		sum.Insertions += s.stats.Insertions
		sum.Evictions += s.stats.Evictions
		sum.Entries += s.count
		sum.Bytes += s.bytes
		s.mu.Unlock()
	}
	return sum
}

// Item describes one entry for a dump.
type Item struct {
	Name        []byte // canonical wire form, read only
	Type, Class uint16
	DO, CD      bool
	Rcode       int
	Answers     int   // records in the answer section, 0 for negative answers
	Expires     int64 // in now's nanoseconds; may be past while stale

	slab []byte
}

// AppendMessage appends the answer as a whole message, with the TTLs that it
// was stored with. An Item that does not come from Each has none.
func (i *Item) AppendMessage(dst []byte) []byte {
	if i.slab == nil {
		return dst
	}
	q := wire.Query{Flags: wire.FlagRD, Name: i.Name, Type: i.Type, Class: i.Class}
	f := found{slab: i.slab}
	return f.append(dst, &q, keyLen(&q), &Config{})
}

// Each calls f for every entry until it returns false, in no order. f may call
// the cache's methods: each shard is copied before its entries are told.
func (c *Cache) Each(f func(Item) bool) {
	if c == nil {
		return
	}
	for i := range c.shards {
		for _, e := range c.shards[i].snapshot() {
			if !f(e.item()) {
				return
			}
		}
	}
}

// item reads an entry's key and fixed part back.
func (e *entry) item() Item {
	n, _ := wire.NameEnd(e.slab, 0)
	key := e.slab[n : n+keyTail]
	fix := readFixed(e.slab[n+keyTail:])
	return Item{
		Name:    e.slab[:n:n],
		Type:    uint16(key[0])<<8 | uint16(key[1]),
		Class:   uint16(key[2])<<8 | uint16(key[3]),
		DO:      key[4]&keyDO != 0,
		CD:      key[4]&keyCD != 0,
		Rcode:   int(fix.flags & rcodeMask),
		Answers: int(fix.answers),
		Expires: e.expires(),
		slab:    e.slab,
	}
}
