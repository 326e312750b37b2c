package answercache

import (
	"encoding/binary"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Key flags, the last octet of a key.
const (
	keyDO = 1 << iota
	keyCD
)

const (
	keyTail   = 5 // type, class, flags
	rcodeMask = 0xf
	second    = int64(1e9) // nanoseconds
)

// MaxKey is the greatest length of a key.
const MaxKey = wire.MaxName + keyTail

// AppendKey appends the key of q's question, which is all that tells answers
// apart. It begins with q's name in canonical form, len(q.Name) octets.
func AppendKey(dst []byte, q *wire.Query) []byte {
	// A name ends itself, so no key is the beginning of another.
	dst = wire.AppendLower(dst, q.Name)
	var flags byte
	if q.EDNS.DO {
		flags |= keyDO
	}
	if q.Flags&wire.FlagCD != 0 {
		flags |= keyCD
	}
	return append(dst, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class), flags)
}

func keyLen(q *wire.Query) int { return len(q.Name) + keyTail }

// entry is one stored answer in its shard. The slab never changes once it is
// stored, so it may be read after the shard's lock was given back.
type entry struct {
	slab   []byte
	stored int64 // nanoseconds
	// failedUntil is the time until which a failure to refresh the expired
	// answer is remembered, in nanoseconds.
	failedUntil int64
	life        uint32 // seconds from stored to expiry
	tag         uint32 // the hash's lower half
	newer       uint32 // neighbours in the order of insertion
	older       uint32
	hits        uint32 // turns the addresses
	visited     bool
	failure     bool
}

// entryCost is what an entry takes beside its slab: itself and its places in a
// table that is at least three eighths full.
const entryCost = 64 + 8*8/3

func (e *entry) cost() int64 { return int64(len(e.slab)) + entryCost }

func (e *entry) expires() int64 { return e.stored + int64(e.life)*second }

// fixed is the part of a slab between key and TTL offsets.
type fixed struct {
	flags              uint16 // rcode and AD as in a header
	answers, authority uint16 // records
	// The turning addresses: where they start in the records' octets, how many
	// there are (0: nothing turns), and the size of each.
	turnAt, turnCount uint16
	turnSize          uint8
}

const fixedLen = 11

func (f fixed) put(b []byte) {
	_ = b[fixedLen-1]
	binary.BigEndian.PutUint16(b, f.flags)
	binary.BigEndian.PutUint16(b[2:], f.answers)
	binary.BigEndian.PutUint16(b[4:], f.authority)
	binary.BigEndian.PutUint16(b[6:], f.turnAt)
	binary.BigEndian.PutUint16(b[8:], f.turnCount)
	b[10] = f.turnSize
}

func readFixed(b []byte) fixed {
	_ = b[fixedLen-1]
	return fixed{
		flags:     binary.BigEndian.Uint16(b),
		answers:   binary.BigEndian.Uint16(b[2:]),
		authority: binary.BigEndian.Uint16(b[4:]),
		turnAt:    binary.BigEndian.Uint16(b[6:]),
		turnCount: binary.BigEndian.Uint16(b[8:]),
		turnSize:  b[10],
	}
}

// found is what a lookup takes out of its shard.
type found struct {
	slab  []byte
	age   uint32 // seconds
	turn  uint32 // hits before this one
	stale bool
}

// append appends the answer to q, whose key has keyLen octets.
func (f *found) append(dst []byte, q *wire.Query, keyLen int, cfg *Config) []byte {
	fix := readFixed(f.slab[keyLen:])
	flags := fix.flags&rcodeMask | wire.FlagRA
	if cfg.KeepAD && fix.flags&wire.FlagAD != 0 && (q.EDNS.DO || q.Flags&wire.FlagAD != 0) {
		flags |= wire.FlagAD
	}
	base := len(dst)
	dst = wire.AppendHeader(dst, q, flags)
	header := dst[base:]
	wire.SetCount(header, wire.Answer, int(fix.answers))
	wire.SetCount(header, wire.Authority, int(fix.authority))

	offsets := f.slab[keyLen+fixedLen:]
	count := 2 * (int(fix.answers) + int(fix.authority))
	records := offsets[count:]
	body := len(dst)
	if turned := f.turned(&fix); turned > 0 {
		start := int(fix.turnAt)
		end := start + int(fix.turnCount)*int(fix.turnSize)
		dst = append(dst, records[:start]...)
		dst = append(dst, records[end-turned:end]...)
		dst = append(dst, records[start:end-turned]...)
		records = records[end:]
	}
	dst = append(dst, records...)

	out := dst[body:]
	for i := 0; i < count; i += 2 {
		field := out[binary.BigEndian.Uint16(offsets[i:]):]
		ttl := binary.BigEndian.Uint32(field)
		binary.BigEndian.PutUint32(field, servedTTL(ttl, f.age, f.stale, cfg))
	}
	return dst
}

// turned returns how many octets of addresses move from the end to the front:
// one more address at each hit, as dnsmasq does.
func (f *found) turned(fix *fixed) int {
	if fix.turnCount == 0 {
		return 0
	}
	return int(f.turn%uint32(fix.turnCount)) * int(fix.turnSize)
}
