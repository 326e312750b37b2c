package answercache

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Cache is a bounded cache of answers. Its methods are safe for concurrent use, and do
// not block except for short operations of other goroutines in memory. A nil *Cache
// stores nothing and finds nothing.
type Cache struct {
	cfg    Config
	seed   maphash.Seed // random, so that no client can choose names with equal hashes
	shift  uint         // the hash's bits from shift on choose the shard
	shards []shard
	pool   sync.Pool     // of *scratch
	epoch  atomic.Uint64 // the number of calls of Purge and Clear
}

// The cache is divided into shards, so that processors do not wait for each other's
// locks. Locks are held only for short accesses to a table, so one shard can serve many
// lookups. Up to perShard entries there is one shard: then the limits are exact, because
// hashing does not distribute entries unevenly.
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
		s := &c.shards[i]
		s.cfg, s.maxEntries, s.maxBytes = &c.cfg, c.cfg.Entries/n, c.cfg.Bytes/int64(n)
		s.clear()
	}
	c.pool.New = func() any { return new(scratch) }
	return c
}

// LookupResult says what Lookup found.
type LookupResult uint8

const (
	// Miss means that there is no usable entry. Nothing was appended.
	Miss LookupResult = iota
	// Hit means that a valid answer was appended.
	Hit
	// Failed means that a failure was appended that StoreFailure had stored (RFC 9520).
	Failed
	// Stale means that an expired answer was appended, with TTLs of Config.StaleTTL. The
	// caller should refresh it.
	Stale
	// Expired means that there is an expired answer, which a Lookup with allowStale
	// would append. Nothing was appended.
	Expired
	// Hinted is Hit for an answer that was stored with a hint.
	Hinted
)

// Lookup appends the stored answer to q's question to dst. Questions are the same if
// name (in any case), type, class, DO and CD are. The answer is a complete message
// without an OPT record, with the id, RD, CD and spelling of q, RA set and AA cleared.
// wire.FinishReply limits it to the client's size and appends the OPT record. now is in
// nanoseconds.
//
// An expired answer is appended only if allowStale is true, or while a failure to
// refresh it is remembered (failure recheck timer, RFC 8767 §5). Otherwise the result is
// Expired, and a later call may use the answer.
//
// The caller must decide whether a query may be answered from a cache at all (RD bit,
// class, opcode).
//
// A name that does not exist has no records of any type (RFC 2308 §5). That answer is
// given for every type for which no other answer is stored.
func (c *Cache) Lookup(dst []byte, q *wire.Query, now int64, allowStale bool) ([]byte, LookupResult) {
	if c == nil {
		return dst, Miss
	}
	var buf [MaxKey]byte
	key := AppendKey(buf[:0], q)
	return c.LookupKey(dst, q, key, c.Spot(key), When{now, allowStale})
}

// When is the time of a lookup, and what may be found then.
type When struct {
	Now        int64 // nanoseconds, on the clock of the Store methods
	AllowStale bool  // whether an expired answer may be used
}

// LookupKey is Lookup for a caller that already has the key of q, from AppendKey, and the spot
// of that key. c must not be nil.
func (c *Cache) LookupKey(dst []byte, q *wire.Query, key []byte, spot Spot, when When) ([]byte, LookupResult) {
	now := when.Now
	hash, at := spot.hash, spot.at
	own, nx := c.shard(hash).table.Load().find(key, at, now)
	if e := best(own, nx, now); e != nil {
		e.visit()
		return e.append(dst, q, now, false, &c.cfg), e.result()
	}
	e, result := c.shard(hash).lookup(key, at, now, when.AllowStale)
	if c.cfg.NXDomainCut && result != Hit && result != Hinted && result != Failed {
		if out, ok := c.cut(dst, q, key, now); ok {
			return out, Hit
		}
	}
	if e != nil {
		dst = e.append(dst, q, now, result == Stale, &c.cfg)
	}
	return dst, result
}

// Spot says where in a Cache the answer to a question is stored, if there is one.
type Spot struct {
	hash uint64
	at   probe
}

// Spot returns the spot of a key from AppendKey. c must not be nil.
func (c *Cache) Spot(key []byte) (s Spot) {
	s.hash, s.at = c.locate(key)
	return s
}

// warmed is how many spots Warm reads at a time.
const warmed = 32

// Warm loads the memory that lookups at spots will read into the processor's cache. Each
// lookup waits for memory twice, for the slot and for the entry. Here the waits of many
// lookups overlap, because nothing depends on the data. The returned sum has no meaning:
// without it, the compiler would remove the reads.
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

// locate returns the hash of a key, which chooses its shard, and where to look there.
func (c *Cache) locate(key []byte) (hash uint64, at probe) {
	hash = maphash.Bytes(c.seed, key[:len(key)-typeLen])
	return hash, probeOf(hash, keyType(key))
}

// Store stores r, the reply of an upstream server to q's question, as far as it may be
// cached, and reports whether it stored anything. Name, type, class, DO and CD of q are
// the key. The cache does not keep references to q or r. asked is the epoch in which the
// question was asked; now is in nanoseconds.
//
// A reply with the rcode NOERROR or NXDOMAIN also removes the entry with that key if the
// reply itself cannot be stored, because it is the server's newer answer (RFC 8767 §4).
//
// Not stored are: classes other than IN, rcodes other than NOERROR and NXDOMAIN, truncated
// replies, replies to another question, negative answers without an SOA record (but see
// Config.NegativeTTL), answers with a TTL of 0 (but see MinTTL and StaleFor), CNAME chains
// with a loop or more than wire.MaxLinks links, questions for transfers and meta types, and
// replies for only some of the clients (RFC 7871).
//
// hint is a text of the server for the caller, see Hint, or nil. It is stored with a reply
// that says that the name does not exist.
func (c *Cache) Store(q *wire.Query, r *wire.Reply, hint []byte, asked Epoch, now int64) bool {
	if !c.stores(asked) || !definitive(q, r) {
		return false
	}
	if e := c.newEntry(q, r, hint, now); e != nil && c.storeEntry(e, asked, now) {
		return true
	}
	c.Forget(q, asked)
	return false
}

// Hint appends the hint of the entry that says that the name in key does not exist, even if it
// has expired. key must be from AppendKey.
func (c *Cache) Hint(dst, key []byte) []byte {
	if c == nil {
		return dst
	}
	hash, at := c.locate(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, nx := s.table.Load().find(key, at, forgotten); nx != nil && nx.flags&kindHinted != 0 {
		octets := nx.octets()[nx.keyLen:]
		octets = octets[2*(int(nx.answers)+int(nx.authority)):]
		return append(dst, octets[nx.turnAt:]...)
	}
	return dst
}

// newEntry returns the entry for r, or nil if r must not be stored.
func (c *Cache) newEntry(q *wire.Query, r *wire.Reply, hint []byte, now int64) *entry {
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
	s.hint = hint
	e, ok := s.entry(&c.cfg)
	if !ok {
		return nil
	}
	e.expires, e.life = now+int64(life)*second, life
	return e
}

// Forget removes the entry for q's question, and the one that says that its name does not
// exist. Call it when a server has given an answer that must not be stored, so that an
// older, expired answer is not used any more.
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

// StoreFailure remembers that q's question failed with rcode (SERVFAIL, or the code that
// stands for a timeout), so that clients get the failure at once. It is remembered for
// Config.FailureTTL, and for twice as long after each further failure, up to
// Config.FailureMaxTTL (RFC 9520 §3.2). The time starts at FailureTTL again after an answer
// has been stored, or if the question is not asked for twice that time.
//
// A valid or stale answer in the cache remains; a stale one is then used at once for
// Config.StaleRecheck. StoreFailure reports whether it changed anything.
func (c *Cache) StoreFailure(q *wire.Query, rcode int, asked Epoch, now int64) bool {
	if !c.stores(asked) || c.cfg.FailureTTL == 0 || q.Class != wire.ClassIN {
		return false
	}
	e := emptyEntry(q, uint16(rcode)&rcodeMask|kindFailure, c.cfg.FailureTTL, now)
	e.setOrigin(asked.origin)
	hash, at := c.locate(e.key())
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.current(asked) && s.fail(e, at, now)
}

// StoreAbsent stores for ttl seconds, within Config's limits, that q's name does not exist,
// without an SOA record. It reports whether it did.
func (c *Cache) StoreAbsent(q *wire.Query, ttl uint32, asked Epoch, now int64) bool {
	if !c.stores(asked) || c.cfg.NoNegative || q.Class != wire.ClassIN {
		return false
	}
	life := storedTTL(ttl, &c.cfg)
	if life == 0 && c.cfg.StaleFor == 0 {
		return false
	}
	e := emptyEntry(q, wire.RcodeNXDomain|kindNX, life, now)
	return c.storeEntry(e, asked, now)
}

// stores reports whether c may store an answer of that epoch. storeEntry and StoreFailure
// check the epoch again under the shard's lock.
func (c *Cache) stores(asked Epoch) bool {
	return c != nil && c.cfg.Entries > 0 && c.current(asked)
}

// storeEntry stores an entry unless a purge has begun since the epoch asked.
func (c *Cache) storeEntry(e *entry, asked Epoch, now int64) bool {
	e.setOrigin(asked.origin)
	hash, at := c.locate(e.key())
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.current(asked) && s.putEntry(e, at, now)
}

// HasRecords reports whether a valid answer with records is stored for any type of the name
// in key, which must be from AppendKey, with the same class, DO and CD.
func (c *Cache) HasRecords(key []byte, now int64) bool {
	if c == nil {
		return false
	}
	hash, at := c.locate(key)
	return c.shard(hash).hasRecords(key[:len(key)-typeLen], at, now)
}

// shard returns the shard of a key with that hash.
func (c *Cache) shard(hash uint64) *shard { return &c.shards[hash>>c.shift] }
