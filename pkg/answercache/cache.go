package answercache

import "github.com/kube-dns/kube-dns/pkg/wire"

// Cache is a bounded store of answers. Its methods may be called from any
// goroutine; none blocks for longer than another one's work in memory. A nil
// *Cache keeps nothing and finds nothing.
type Cache struct {
	cfg Config
}

// New returns an empty cache.
func New(cfg Config) *Cache { return &Cache{cfg: cfg.withDefaults()} }

// Result says what Lookup found.
type Result uint8

const (
	// Miss: nothing usable is stored, nothing was appended.
	Miss Result = iota
	// Hit: a valid answer was appended.
	Hit
	// Failed: a failure remembered by StoreFailure was appended, RFC 9520.
	Failed
	// Stale: an expired answer was appended, its TTLs are Config.StaleTTL. The
	// caller refreshes it.
	Stale
	// Expired: nothing was appended, but an expired answer is there for a
	// Lookup that allows it.
	Expired
)

// Lookup appends the stored answer to q's question (name without case, type,
// class, DO and CD) to dst: a whole message without an OPT record, with q's
// id, RD, CD and spelling, RA set, AA cleared. wire.FinishReply brings it to
// the client's size and appends the OPT. now is in nanoseconds.
//
// An expired answer is appended only if allowStale is set or while a failure to
// refresh it is remembered (RFC 8767 §5, failure recheck timer); otherwise
// Expired tells that a later call may have it.
//
// Whether a query may be answered from a cache at all (RD=0, class, opcode) is
// the caller's business.
func (c *Cache) Lookup(dst []byte, q *wire.Query, now int64, allowStale bool) ([]byte, Result) {
	return dst, Miss
}

// Store keeps what may be kept of r, an upstream's reply to q's question, and
// reports whether that was anything. The name, type, class, DO and CD of q
// are the key. Nothing of q or r is retained. An entry with that key is
// replaced. now is in nanoseconds.
//
// Not stored: classes other than IN, rcodes other than NOERROR and NXDOMAIN,
// truncated replies, replies to another question, negative answers without
// an SOA (but see Config.NegativeTTL), answers of TTL 0 (but see MinTTL and
// StaleFor), chains with a loop or more than 16 links, questions for
// transfers and meta types.
func (c *Cache) Store(q *wire.Query, r *wire.Reply, now int64) bool { return false }

// StoreFailure remembers for Config.FailureTTL that q's question ended in
// rcode (SERVFAIL, or what stands for a timeout), so that askers hear it at
// once. A valid or stale answer that is stored stays; a stale one is then
// given out at once until that time is over. It reports whether it did
// anything.
func (c *Cache) StoreFailure(q *wire.Query, rcode int, now int64) bool { return false }

// Clear removes all entries. The counters stay.
func (c *Cache) Clear() {}

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
func (c *Cache) Stats() Stats { return Stats{} }

// Item describes one entry for a dump.
type Item struct {
	Name        []byte // canonical wire form, the caller's
	Type, Class uint16
	DO, CD      bool
	Rcode       int
	Answers     int   // records in the answer section, 0 for negative answers
	Expires     int64 // in now's nanoseconds; may be past while stale
}

// Each calls f for every entry until it returns false, in no order. f may call
// the cache's methods.
func (c *Cache) Each(f func(Item) bool) {}
