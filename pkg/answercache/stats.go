package answercache

import (
	"encoding/binary"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stats counts what happened since New. Lookups are not counted: whoever calls
// knows their results.
type Stats struct {
	Insertions uint64 // answers and failures stored
	Evictions  uint64 // removed for want of room before they expired
	Entries    int    // stored now, expired ones included
	Bytes      int64  // memory accounted for now
	MaxBytes   int64  // the most that Bytes may be
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
		sum.Insertions += s.stats.Insertions
		sum.Evictions += s.stats.Evictions
		sum.Entries += s.count
		sum.Bytes += s.bytes
		sum.MaxBytes += s.maxBytes
		s.mu.Unlock()
	}
	return sum
}

// Item describes one entry for a dump.
type Item struct {
	Name        []byte // canonical wire form, read only
	Type, Class uint16 // as asked; an answer that the name does not exist is for every type
	DO, CD      bool
	Rcode       int
	Answers     int   // records in the answer section, 0 for negative answers
	Expires     int64 // in now's nanoseconds; may be past while stale

	entry *entry
}

// AppendMessage appends the answer as a whole message, with the TTLs that it
// was stored with. An Item that does not come from Each has none.
func (i *Item) AppendMessage(dst []byte) []byte {
	if i.entry == nil {
		return dst
	}
	q := wire.Query{Flags: wire.FlagRD, Name: i.Name, Type: i.Type, Class: i.Class}
	return i.entry.append(dst, &q, i.entry.stored(), false, &Config{})
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

// item reads an entry's key back.
func (e *entry) item() Item {
	key := e.key()
	n := len(key) - keyTail
	return Item{
		Name:    key[:n:n],
		Type:    keyType(key),
		Class:   binary.BigEndian.Uint16(key[n+1:]),
		DO:      key[n]&keyDO != 0,
		CD:      key[n]&keyCD != 0,
		Rcode:   int(e.flags & rcodeMask),
		Answers: int(e.answers),
		Expires: e.expires,
		entry:   e,
	}
}
