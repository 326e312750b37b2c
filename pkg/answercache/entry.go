package answercache

import (
	"encoding/binary"
	"sync/atomic"

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

// MaxKey is the greatest length of a key.
const MaxKey = wire.MaxName + keyTail

// AppendKey appends the key of q's question, which is all that tells answers
// apart. It begins with q's name in canonical form, len(q.Name) octets.
func AppendKey(dst []byte, q *wire.Query) []byte {
	// A name ends itself, so no key is the beginning of another. The type comes
	// last: what stands before it is shared by all types of a name.
	dst = wire.AppendLower(dst, q.Name)
	var flags byte
	if q.EDNS.DO {
		flags |= keyDO
	}
	if q.Flags&wire.FlagCD != 0 {
		flags |= keyCD
	}
	return append(dst, flags, byte(q.Class>>8), byte(q.Class), byte(q.Type>>8), byte(q.Type))
}

func keyLen(q *wire.Query) int { return len(q.Name) + keyTail }

// keyType is the type in a key.
func keyType(key []byte) uint16 { return binary.BigEndian.Uint16(key[len(key)-typeLen:]) }

// inlineLen makes an entry two cache lines of 64 octets: all that a hit reads
// of it first, and the octets.
const inlineLen = 64

// entry is one stored answer. It never changes once it is stored, but for the
// two counters, so it may be read without its shard's lock, and after it was
// removed.
type entry struct {
	expires int64  // nanoseconds
	life    uint32 // seconds from storing to expiry
	node    uint32 // its place in the shard's queue
	visited atomic.Bool
	hits    atomic.Uint32 // turns the addresses
	// flags are rcode and AD as in a header, and the kinds below.
	flags              uint16
	answers, authority uint16 // records
	// The turning addresses: where they start in the records' octets, how many
	// there are (0: nothing turns), and the size of each.
	turnAt, turnCount uint16
	keyLen            uint16
	turnSize          uint8
	size              uint8  // of inline that is used
	more              []byte // the octets if they do not fit inline
	inline            [inlineLen]byte
}

// Kinds of entries, in flags where a header has QR and the opcode.
const (
	// kindFailure is what StoreFailure stored.
	kindFailure = 1 << 15
	// kindNX is an answer for every type of its name, RFC 2308 §5: the name does
	// not exist. Its key has the type that was asked for.
	kindNX = 1 << 14
)

// emptyEntry returns an entry without records.
func emptyEntry(q *wire.Query, flags uint16, life uint32, now int64) *entry {
	e := &entry{expires: now + int64(life)*second, life: life, flags: flags, keyLen: uint16(keyLen(q))}
	AppendKey(e.makeRoom(keyLen(q))[:0], q)
	return e
}

// makeRoom gives e memory for size octets and returns it.
func (e *entry) makeRoom(size int) []byte {
	if size <= inlineLen {
		e.size = uint8(size)
		return e.inline[:size]
	}
	e.more = make([]byte, size)
	return e.more
}

// octets are key, TTL offsets and records.
func (e *entry) octets() []byte {
	if e.more != nil {
		return e.more
	}
	return e.inline[:e.size]
}

func (e *entry) key() []byte { return e.octets()[:e.keyLen] }

// is reports whether e is the entry of key, or with kindNX that of its name,
// flags and class.
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

// entryCost is what an entry takes beside octets that do not fit into it:
// itself, its place in the queue, and those in a table that is at least three
// eighths full.
const entryCost = 128 + 32 + 16*8/3

func (e *entry) cost() int64 { return int64(len(e.more)) + entryCost }

func (e *entry) stored() int64 { return e.expires - int64(e.life)*second }

// valid reports whether e is an answer that has not expired.
func (e *entry) valid(now int64) bool { return e != nil && now < e.expires }

// visit marks e as asked for. Mostly it is marked already, and then its memory
// stays shared among processors.
func (e *entry) visit() {
	if !e.visited.Load() {
		e.visited.Store(true)
	}
}

// append appends the answer to q, whose key is as long as e's, as it is at now.
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

// appendTurned appends the records up to the end of the addresses that turn,
// and returns what remains: one more address moves from the end to the front
// at each hit, as dnsmasq does.
func (e *entry) appendTurned(dst, records []byte) (out, rest []byte) {
	start := int(e.turnAt)
	end := start + int(e.turnCount)*int(e.turnSize)
	turned := int((e.hits.Add(1)-1)%uint32(e.turnCount)) * int(e.turnSize)
	dst = append(dst, records[:start]...)
	dst = append(dst, records[end-turned:end]...)
	dst = append(dst, records[start:end-turned]...)
	return dst, records[end:]
}
