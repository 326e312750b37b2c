package answercache

import (
	"encoding/binary"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stats holds counters since New. Lookups are not counted, because the caller knows their
// results.
type Stats struct {
	Insertions uint64 // answers and failures stored
	Evictions  uint64 // entries removed before they expired, to make room
	Entries    int    // entries stored now, including expired ones
	Bytes      int64  // memory in use now, in octets
	MaxBytes   int64  // largest value of Bytes
}

// Stats returns the counters. It reads the shards one after the other.
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
	Name        []byte // canonical wire form; must not be changed
	Type, Class uint16 // of the question; if the name does not exist, the entry is for every type
	DO, CD      bool   // of the query
	Rcode       int    // response code
	Answers     int    // records in the answer section; 0 for negative answers
	Stored      int64  // nanoseconds, on the clock of the Store methods
	Expires     int64  // nanoseconds, on the same clock; may be in the past
	Origin      uint32 // the number passed to [Epoch.From]
	Failure     bool   // the entry is a failure from StoreFailure
	Absent      bool   // the entry says that the name does not exist, for every type
	Dead        bool   // only from Find: the entry can no longer be used, not even as a stale answer

	entry *entry // what AppendMessage reads
}

// AppendMessage appends the answer as a complete message, with the TTLs as stored. It appends
// nothing for an Item that does not come from Each or Find.
func (i *Item) AppendMessage(dst []byte) []byte {
	if i.entry == nil {
		return dst
	}
	q := wire.Query{Flags: wire.FlagRD, Name: i.Name, Type: i.Type, Class: i.Class}
	return i.entry.append(dst, &q, i.entry.stored(), false, &Config{})
}

// Each calls f for every entry, in no particular order, until f returns false. f is called without
// a lock, so it may use c. It may miss entries that are stored meanwhile.
func (c *Cache) Each(f func(Item) bool) {
	if c == nil {
		return
	}
	for i := range c.shards {
		for list := range c.shards[i].parts() {
			for _, e := range list {
				if !f(e.item()) {
					return
				}
			}
		}
	}
}

// item returns the description of e.
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
		Stored:  e.stored(),
		Expires: e.expires,
		Origin:  e.origin(),
		Failure: e.flags&kindFailure != 0,
		Absent:  e.flags&kindNX != 0,
		entry:   e,
	}
}
