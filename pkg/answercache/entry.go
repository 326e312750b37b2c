package answercache

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Key flags, the octet after the name.
const (
	keyDO = 1 << iota
	keyCD
)

const (
	keyTail   = 5 // flags, class, type
	typeLen   = 2 // the key's end
	rcodeMask = 0xf
	second    = int64(1e9) // nanoseconds
)

// MaxKey is the largest length of a key in octets.
const MaxKey = wire.MaxName + keyTail

// AppendKey appends the key of q's question, which contains everything that distinguishes
// two answers. It begins with q's name in canonical form, len(q.Name) octets.
func AppendKey(dst []byte, q *wire.Query) []byte {
	// A name contains its own end, so no key is a prefix of another. The type comes last
	// because the rest is the same for all types of a name.
	dst = dnsname.AppendLower(dst, q.Name)
	var flags byte
	if q.EDNS.DO {
		flags |= keyDO
	}
	if q.Flags&wire.FlagCD != 0 {
		flags |= keyCD
	}
	return append(dst, flags, byte(q.Class>>8), byte(q.Class), byte(q.Type>>8), byte(q.Type))
}

// keyLen returns the length of q's key in octets.
func keyLen(q *wire.Query) int { return len(q.Name) + keyTail }

// keyType returns the type in a key.
func keyType(key []byte) uint16 { return binary.BigEndian.Uint16(key[len(key)-typeLen:]) }

// inlineLen makes an entry as large as two cache lines of 64 octets. The first one holds
// what a hit reads first, the second one the octets.
const inlineLen = 64

// entry is one stored answer. After it has been stored, nothing of it changes except the first
// bit of mark, and hits. It may therefore be read without its shard's lock, even after it has been
// removed.
type entry struct {
	expires int64  // time of expiry in nanoseconds
	life    uint32 // seconds from storing to expiry
	node    uint32 // index in the shard's queue; only valid under the shard's lock
	// mark has the bit visited if the entry has been looked up since the eviction hand last
	// passed it; any goroutine may set that bit. The other bits are the origin, which does not
	// change.
	mark atomic.Uint32
	hits atomic.Uint32 // number of rotations; any goroutine may change it
	// flags holds the rcode and AD as in a header, and the kinds below.
	flags              uint16
	answers, authority uint16 // numbers of records in the two sections
	// The rotating addresses: their offset in the octets of the records, their number (0
	// means no rotation), and below the size of each record in octets. With kindHinted,
	// turnAt is where the hint begins instead, and turnCount is 1, which no rotation has.
	turnAt, turnCount uint16
	keyLen            uint16          // octets of the key
	turnSize          uint8           // see turnAt
	size              uint8           // octets of inline in use
	more              []byte          // the octets if they do not fit into inline; otherwise nil
	inline            [inlineLen]byte // the octets if they fit
}

// The parts of entry.mark.
const (
	visited     = 1
	originShift = 1
	maxOrigin   = 1<<31 - 1
)

// Kinds of entries: bits of flags at which a header has QR and the opcode.
const (
	// kindFailure marks an entry of StoreFailure.
	kindFailure = 1 << 15
	// kindNX marks an answer that a name does not exist, which is for all types of the name
	// (RFC 2308 §5). The key contains the type of the question.
	kindNX = 1 << 14
	// kindHinted marks an answer with a hint. It is always combined with
	// kindNX. The hint follows the records.
	kindHinted = 1 << 13
)

// emptyEntry returns an entry without records.
func emptyEntry(q *wire.Query, flags uint16, life uint32, now int64) *entry {
	e := &entry{expires: now + int64(life)*second, life: life, flags: flags, keyLen: uint16(keyLen(q))}
	AppendKey(e.makeRoom(keyLen(q))[:0], q)
	return e
}

// makeRoom allocates size octets for e and returns them.
func (e *entry) makeRoom(size int) []byte {
	if size <= inlineLen {
		e.size = uint8(size)
		return e.inline[:size]
	}
	e.more = make([]byte, size)
	return e.more
}

// octets returns key, TTL offsets and records.
func (e *entry) octets() []byte {
	if e.more != nil {
		return e.more
	}
	return e.inline[:e.size]
}

func (e *entry) key() []byte { return e.octets()[:e.keyLen] }

// is reports whether e is the entry for key. An entry with kindNX is for every type.
func (e *entry) is(key []byte) bool {
	if int(e.keyLen) != len(key) {
		return false
	}
	if e.flags&kindNX != 0 {
		key = key[:len(key)-typeLen]
	}
	octets := e.octets()
	return len(octets) >= len(key) && string(octets[:len(key)]) == string(key)
}

// entryCost is the memory of an entry without the octets that do not fit into it: the entry,
// its node in the queue, and its share of a table that is at least three eighths full.
const entryCost = 128 + 32 + 16*8/3

// cost returns the memory that e takes, in octets.
func (e *entry) cost() int64 { return int64(len(e.more)) + entryCost }

// stored returns the time at which e was stored, in nanoseconds.
func (e *entry) stored() int64 { return e.expires - int64(e.life)*second }

// valid reports whether e is an answer that has not expired.
func (e *entry) valid(now int64) bool { return e != nil && now < e.expires }

// visit marks e as looked up. If e is marked already, nothing is written, so that processors
// can share the cache line.
func (e *entry) visit() {
	if mark := e.mark.Load(); mark&visited == 0 {
		e.mark.Store(mark | visited)
	}
}

// leave undoes visit.
func (e *entry) leave() { e.mark.Store(e.mark.Load() &^ visited) }

// setOrigin sets the origin of an entry that is not stored yet.
func (e *entry) setOrigin(origin uint32) { e.mark.Store(min(origin, maxOrigin) << originShift) }

// origin returns what setOrigin set.
func (e *entry) origin() uint32 { return e.mark.Load() >> originShift }

// append appends the answer of e to q at the time now. q's key must be as long as e's.
func (e *entry) append(dst []byte, q *wire.Query, now int64, stale bool, cfg *Config) []byte {
	flags := e.flags&rcodeMask | wire.FlagRA
	if cfg.KeepAD && e.flags&wire.FlagAD != 0 && (q.EDNS.DO || q.Flags&wire.FlagAD != 0) {
		flags |= wire.FlagAD
	}
	base := len(dst)
	dst = wire.AppendHeader(dst, q, flags)
	header := dst[base:]
	wire.SetCount(header, wire.Answer, int(e.answers))
	wire.SetCount(header, wire.Authority, int(e.authority))

	offsets := e.octets()[e.keyLen:]
	count := 2 * (int(e.answers) + int(e.authority))
	records := offsets[count:]
	body := len(dst)
	if e.turnCount != 0 {
		dst, records = e.appendTurned(dst, records)
	}
	dst = append(dst, records...)

	age := uint32(max(now-e.stored(), 0) / second)
	if age == 0 && !stale && cfg.MaxTTL == 0 {
		return dst
	}
	out := dst[body:]
	for offsets = offsets[:count]; len(offsets) >= 2; offsets = offsets[2:] {
		field := out[binary.BigEndian.Uint16(offsets):]
		ttl := binary.BigEndian.Uint32(field)
		binary.BigEndian.PutUint32(field, servedTTL(ttl, age, stale, cfg))
	}
	return dst
}

// appendTurned appends the records up to the last of the rotating addresses, and returns the
// remaining records. At each hit, one more address moves from the end to the front, as in
// dnsmasq. For an entry with a hint, it returns the records without the hint.
func (e *entry) appendTurned(dst, records []byte) (out, rest []byte) {
	if e.flags&kindHinted != 0 {
		return dst, records[:e.turnAt]
	}
	start := int(e.turnAt)
	end := start + int(e.turnCount)*int(e.turnSize)
	turned := int((e.hits.Add(1)-1)%uint32(e.turnCount)) * int(e.turnSize)
	dst = append(dst, records[:start]...)
	dst = append(dst, records[end-turned:end]...)
	dst = append(dst, records[start:end-turned]...)
	return dst, records[end:]
}
