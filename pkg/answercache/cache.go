package answercache

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Cache is a bounded store of answers. Its methods may be called from any
// goroutine; none blocks for longer than another one's work in memory. A nil
// *Cache keeps nothing and finds nothing.
type Cache struct {
	cfg    Config
	seed   maphash.Seed // random, so that nobody can choose colliding names
	shift  uint         // the hash's upper bits, above shift, choose the shard
	shards []shard
	pool   sync.Pool     // of *scratch
	epoch  atomic.Uint64 // how often Purge and Clear were called
}

// Shards keep processors out of each other's way. A lookup holds its shard's
// lock for the time of a table access only, so a shard serves many of them, and
// up to perShard entries there is but one: then the limits hold exactly,
// without the unevenness of hashing.
const (
	perShard  = 1 << 14
	maxShards = 1 << 6
)

// New returns an empty cache.
func New(cfg Config) *Cache {
	c := &Cache{cfg: cfg.withDefaults(), seed: maphash.MakeSeed()}
	n := 1
	for n < maxShards && c.cfg.Entries/(2*n) >= perShard {
		n *= 2
	}
	c.shift = uint(64 - bits.TrailingZeros(uint(n)))
	c.shards = make([]shard, n)
	for i := range c.shards {
		c.shards[i].init(c.cfg.Entries/n, c.cfg.Bytes/int64(n), c.cfg.StaleFor, c.cfg.StaleRecheck)
	}
	c.pool.New = func() any { return new(scratch) }
	return c
}

// Result says what Lookup found.
type Result uint8

const (
	// Miss means that nothing usable is stored and nothing was appended.
	Miss Result = iota
	// Hit means that a valid answer was appended.
	Hit
	// Failed means that a failure remembered by StoreFailure was appended, RFC 9520.
	Failed
	// Stale means that an expired answer was appended, its TTLs are Config.StaleTTL. The
	// caller refreshes it.
	Stale
	// Expired means that nothing was appended, but that an expired answer is there for a
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
//
// A name that does not exist has no records of any type (RFC 2308 §5), so that
// answer, once stored, is given for every type that has none of its own.
func (c *Cache) Lookup(dst []byte, q *wire.Query, now int64, allowStale bool) ([]byte, Result) {
	if c == nil {
		return dst, Miss
	}
	var buf [MaxKey]byte
	key := AppendKey(buf[:0], q)
	return c.LookupKey(dst, q, key, c.Spot(key), now, allowStale)
}

// LookupKey is Lookup for a caller who has q's key from AppendKey, and its spot
// in c, which must not be nil.
func (c *Cache) LookupKey(dst []byte, q *wire.Query, key []byte, spot Spot, now int64, allowStale bool) ([]byte, Result) {
	hash, at := spot.hash, spot.at
	own, nx := c.shard(hash).table.Load().find(key, at, now)
	if e := best(own, nx, now); e != nil {
		e.visit()
		return e.append(dst, q, now, false, &c.cfg), e.result()
	}
	e, result := c.shard(hash).get(key, at, now, allowStale)
	if c.cfg.NXDomainCut && result != Hit && result != Failed {
		if out, ok := c.cut(dst, q, key, now); ok {
			return out, Hit
		}
	}
	if e != nil {
		dst = e.append(dst, q, now, result == Stale, &c.cfg)
	}
	return dst, result
}

// Spot is where the answer to a question is kept in a Cache, if it is.
type Spot struct {
	hash uint64
	at   place
}

// Spot returns the spot of a key from AppendKey. c must not be nil.
func (c *Cache) Spot(key []byte) (s Spot) {
	s.hash, s.at = c.locate(key)
	return s
}

// warmed is how many spots Warm takes at a time.
const warmed = 32

// Warm brings what lookups at spots will read into the processor's cache. Each
// lookup waits for memory twice, for the slot and for the entry; here the waits
// of many overlap, because nothing depends on what is read. The sum returned
// means nothing: without a use of it the compiler would leave out the reading.
func (c *Cache) Warm(spots []Spot) (sum int64) {
	var entries [warmed]*entry
	for len(spots) > 0 {
		n := min(len(spots), warmed)
		for i := range n {
			s := &spots[i]
			t := c.shard(s.hash).table.Load()
			entries[i] = t.slots[s.at.home&uint32(len(t.slots)-1)].entry.Load()
		}
		for _, e := range entries[:n] {
			if e != nil {
				sum += e.expires + int64(e.inline[0])
			}
		}
		spots = spots[n:]
	}
	return sum
}

// locate returns the hash of a key, which chooses its shard, and its place there.
func (c *Cache) locate(key []byte) (hash uint64, at place) {
	hash = maphash.Bytes(c.seed, key[:len(key)-typeLen])
	return hash, placeOf(hash, keyType(key))
}

// Store keeps what may be kept of r, the reply of an upstream server to q's
// question, and reports whether that was anything. The name, type, class, DO and
// CD of q are the key. Nothing of q or r is retained. asked is the epoch in
// which the question was asked, now is in nanoseconds.
//
// A reply with the rcode NOERROR or NXDOMAIN ends the life of the entry with
// that key, even if the reply itself cannot be kept: what the server says now
// has replaced it (RFC 8767 §4).
//
// Not stored: classes other than IN, rcodes other than NOERROR and NXDOMAIN,
// truncated replies, replies to another question, negative answers without
// an SOA (but see Config.NegativeTTL), answers of TTL 0 (but see MinTTL and
// StaleFor), chains with a loop or more than wire.MaxLinks links, questions for
// transfers and meta types, replies meant for a part of the clients (RFC 7871).
func (c *Cache) Store(q *wire.Query, r *wire.Reply, asked Epoch, now int64) bool {
	if !c.stores(asked) || !definitive(q, r) {
		return false
	}
	if e := c.newEntry(q, r, now); e != nil && c.put(e, asked, now) {
		return true
	}
	c.Forget(q, asked)
	return false
}

// newEntry returns what is to be stored of r, nil if nothing is.
func (c *Cache) newEntry(q *wire.Query, r *wire.Reply, now int64) *entry {
	if !storable(q, r) {
		return nil
	}
	s := c.pool.Get().(*scratch)
	defer s.release(&c.pool)
	s.reset(q, r)
	if !s.choose(&c.cfg) {
		return nil
	}
	life := s.clamp(&c.cfg)
	if life == 0 && c.cfg.StaleFor == 0 {
		return nil
	}
	e, ok := s.entry(&c.cfg)
	if !ok {
		return nil
	}
	e.expires, e.life = now+int64(life)*second, life
	return e
}

// Forget removes the entry for q's question, and the one that says that its name
// does not exist. Call it when a server has given an answer that is not to be
// stored, so that an expired one does not outlive it.
func (c *Cache) Forget(q *wire.Query, asked Epoch) {
	if !c.stores(asked) {
		return
	}
	var buf [MaxKey]byte
	key := AppendKey(buf[:0], q)
	hash, at := c.locate(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.current(asked) {
		return
	}
	own, nx := s.table.Load().find(key, at, forgotten)
	for _, e := range [...]*entry{own, nx} {
		if e != nil {
			s.remove(e)
		}
	}
}

// StoreFailure remembers that q's question ended in rcode (SERVFAIL, or what
// stands for a timeout), so that askers hear it at once: for Config.FailureTTL,
// and twice as long each time that the next attempt fails too, up to
// Config.FailureMaxTTL (RFC 9520 §3.2). It begins anew with a stored answer, or
// if nobody asks for twice that time.
//
// A valid or stale answer that is stored stays; a stale one is then given out
// at once for Config.StaleRecheck. It reports whether it did anything.
func (c *Cache) StoreFailure(q *wire.Query, rcode int, asked Epoch, now int64) bool {
	if !c.stores(asked) || c.cfg.FailureTTL == 0 || q.Class != wire.ClassIN {
		return false
	}
	e := emptyEntry(q, uint16(rcode)&rcodeMask|kindFailure, c.cfg.FailureTTL, now)
	hash, at := c.locate(e.key())
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.current(asked) && s.fail(e, at, c.cfg.FailureMaxTTL, now)
}

// StoreAbsent keeps for ttl seconds, within Config's limits, that q's name does
// not exist, said without an SOA. It reports whether it did.
func (c *Cache) StoreAbsent(q *wire.Query, ttl uint32, asked Epoch, now int64) bool {
	if !c.stores(asked) || c.cfg.NoNegative || q.Class != wire.ClassIN {
		return false
	}
	life := storedTTL(ttl, &c.cfg)
	if life == 0 && c.cfg.StaleFor == 0 {
		return false
	}
	e := emptyEntry(q, wire.RcodeNXDomain|kindNX, life, now)
	return c.put(e, asked, now)
}

// stores reports whether c may store an answer of that epoch. Only put and
// StoreFailure, under the shard's lock, know for sure.
func (c *Cache) stores(asked Epoch) bool {
	return c != nil && c.cfg.Entries > 0 && c.current(asked)
}

// put stores an entry unless a purge has begun since the epoch asked.
func (c *Cache) put(e *entry, asked Epoch, now int64) bool {
	hash, at := c.locate(e.key())
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.current(asked) && s.put(e, at, now)
}

// HasRecords reports whether a valid answer with records is stored for any type
// of the name of key, which is one of AppendKey; class, DO and CD count.
func (c *Cache) HasRecords(key []byte, now int64) bool {
	if c == nil {
		return false
	}
	hash, at := c.locate(key)
	return c.shard(hash).hasRecords(key[:len(key)-typeLen], at, now)
}

func (c *Cache) shard(hash uint64) *shard { return &c.shards[hash>>c.shift] }
