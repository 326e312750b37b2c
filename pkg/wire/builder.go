package wire

import (
	"encoding/binary"
	"net/netip"
)

// Builder makes one reply in a caller's slice. Start begins it, the record
// methods append to the section that is open, Finish ends it. A record method
// that reports false appended nothing: the record did not fit. What that means
// is the caller's to say (RFC 2181 §9): a missing record of a required RRset
// earns SetTC; an additional RRset is left out whole, with Mark and Rollback,
// and silently.
//
// Owner names and names in RDATA are uncompressed wire form. A nil owner
// stands for the question's name. Records get the question's class, or IN
// when that is ANY or missing.
//
// The zero value is ready for Start; a Builder may be used again. It must not
// be copied after Start, and is for one goroutine at a time. It keeps no
// slice but the one given to Start.
type Builder struct {
	buf      []byte
	base     int // offset of the message in buf
	limit    int // records may fill buf up to here
	max      int // and the OPT record up to here
	rcode    int
	class    uint16
	question bool
	edns, do bool
	section  Section
	last     int // offset in the message of the owner appended last, 0 for none
	names    nameTable
	copied   copiedOwner
}

// cookieRoom is the largest COOKIE option, RFC 7873 §4.
const cookieRoom = 4 + 40

// Start begins the reply to q at the end of dst: id, opcode, RD and CD are
// q's, QR and RA are set, the question is repeated in its own spelling. The
// message will not exceed limit octets (at least 512); room for an OPT record
// is held back when q has one. dst should have the capacity for it all.
func (b *Builder) Start(dst []byte, q *Query, limit int) {
	b.base = len(dst)
	b.max = b.base + max(limit, MinPayload)
	b.limit = b.max
	b.rcode = RcodeSuccess
	b.section = Answer
	b.last, b.copied = 0, copiedOwner{}
	b.edns, b.do = q.EDNS.Present, q.EDNS.DO
	if b.edns {
		b.limit -= optFixedLen
		if q.EDNS.ClientCookie != nil {
			b.limit -= cookieRoom
		}
	}
	b.class = q.Class
	b.question = q.Name != nil
	if b.class == ClassANY || !b.question {
		b.class = ClassIN
	}
	b.names.clear()
	b.buf = AppendHeader(dst, q, FlagRA)
}

// AppendHeader appends the header of a reply to q and its question, if it has
// one, with no records counted: q's id, opcode, RD and CD, QR, and flags
// besides, which may hold an rcode.
func AppendHeader(dst []byte, q *Query, flags uint16) []byte {
	flags |= replyFlags(q.Flags)
	var qd byte
	if q.Name != nil {
		qd = 1
	}
	dst = append(dst, byte(q.ID>>8), byte(q.ID), byte(flags>>8), byte(flags), 0, qd, 0, 0, 0, 0, 0, 0)
	if q.Name != nil {
		dst = append(dst, q.Name...)
		dst = append(dst, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class))
	}
	return dst
}

// SetAA sets or clears the flag AA.
func (b *Builder) SetAA(authoritative bool) { b.setFlag(FlagAA, authoritative) }

// SetRA sets or clears the flag RA, which Start has set.
func (b *Builder) SetRA(available bool) { b.setFlag(FlagRA, available) }

// SetTC sets the flag TC.
func (b *Builder) SetTC() { b.setFlag(FlagTC, true) }

// SetRcode changes the response code, which is NOERROR after Start. Codes
// above 15 become SERVFAIL where the query had no OPT to carry them.
func (b *Builder) SetRcode(rcode int) { b.rcode = rcode }

func (b *Builder) setFlag(flag uint16, on bool) {
	msg := b.buf[b.base:]
	flags := Flags(msg) &^ flag
	if on {
		flags |= flag
	}
	SetFlags(msg, flags)
}

// Open directs the following records into s, which must not be before the
// section open now.
func (b *Builder) Open(s Section) { b.section = max(s, b.section) }

// Count returns how many records a section holds so far.
func (b *Builder) Count(s Section) int { return Count(b.buf[b.base:], s) }

// Room returns how many octets records may still take.
func (b *Builder) Room() int { return b.limit - len(b.buf) }

// Mark is a position in a reply to which Rollback returns.
type Mark struct {
	len     int
	section Section
	counts  [3]uint16
}

// Mark returns the present position.
func (b *Builder) Mark() Mark {
	m := Mark{len: len(b.buf), section: b.section}
	for i := range m.counts {
		m.counts[i] = uint16(b.Count(Answer + Section(i)))
	}
	return m
}

// Rollback removes every record appended since m was taken.
func (b *Builder) Rollback(m Mark) {
	b.buf = b.buf[:m.len]
	b.section = m.section
	for i, n := range m.counts {
		SetCount(b.buf[b.base:], Answer+Section(i), int(n))
	}
	b.names.rollback(m.len - b.base)
	if b.last >= m.len-b.base {
		b.last = 0
	}
}

// Finish appends the OPT record if the query had one, and returns the whole
// slice given to Start with the reply at its end.
func (b *Builder) Finish(opt OPT) []byte {
	rcode := b.rcode
	if rcode > int(rcodeMask) && !b.edns {
		rcode = RcodeServFail
	}
	msg := b.buf[b.base:]
	SetFlags(msg, Flags(msg)&^rcodeMask|uint16(rcode)&rcodeMask)
	if b.edns {
		SetCount(msg, Additional, Count(msg, Additional)+1)
		b.buf = appendOPT(b.buf, &opt, rcode, b.do, b.max-len(b.buf))
	}
	out := b.buf
	b.buf = nil
	return out
}

// Record appends a record with ready-made RDATA, which must hold no
// compressed names.
func (b *Builder) Record(owner []byte, typ uint16, ttl uint32, rdata []byte) bool {
	at, ok := b.begin(owner, typ, ttl, len(rdata))
	if !ok {
		return false
	}
	b.buf = append(b.buf, rdata...)
	return b.end(at)
}

// Addr appends an A or an AAAA record, whichever addr is; IPv4-mapped IPv6
// addresses are AAAA. addr must be valid.
func (b *Builder) Addr(owner []byte, ttl uint32, addr netip.Addr) bool {
	if addr.Is4() {
		a := addr.As4()
		return b.Record(owner, TypeA, ttl, a[:])
	}
	a := addr.As16()
	return b.Record(owner, TypeAAAA, ttl, a[:])
}

// NameRecord appends a record whose RDATA is one name that may be
// compressed: CNAME, PTR, NS (RFC 3597 §4).
func (b *Builder) NameRecord(owner []byte, typ uint16, ttl uint32, target []byte) bool {
	at, ok := b.begin(owner, typ, ttl, 1)
	if !ok {
		return false
	}
	b.appendName(target, sameSpelling)
	return b.end(at)
}

// SRV appends an SRV record. Its target is not compressed, RFC 2782.
func (b *Builder) SRV(owner []byte, ttl uint32, priority, weight, port uint16, target []byte) bool {
	at, ok := b.begin(owner, TypeSRV, ttl, 6+len(target))
	if !ok {
		return false
	}
	b.buf = binary.BigEndian.AppendUint16(b.buf, priority)
	b.buf = binary.BigEndian.AppendUint16(b.buf, weight)
	b.buf = binary.BigEndian.AppendUint16(b.buf, port)
	b.appendName(target, inFull)
	return b.end(at)
}

// SOA is the RDATA of an SOA record, RFC 1035 §3.3.13.
type SOA struct {
	MName, RName                            []byte // primary server and mailbox, wire form
	Serial, Refresh, Retry, Expire, Minimum uint32
}

// SOA appends an SOA record.
func (b *Builder) SOA(owner []byte, ttl uint32, soa *SOA) bool {
	zone := b.inQuestion(owner)
	at, ok := b.beginAt(owner, zone, TypeSOA, ttl, 22)
	if !ok {
		return false
	}
	b.appendBelow(soa.MName, owner, zone)
	b.appendBelow(soa.RName, owner, zone)
	for _, v := range [...]uint32{soa.Serial, soa.Refresh, soa.Retry, soa.Expire, soa.Minimum} {
		b.buf = binary.BigEndian.AppendUint32(b.buf, v)
	}
	return b.end(at)
}

// TXT appends a TXT record of the given character strings, each at most 255
// octets; longer ones are cut into several.
func (b *Builder) TXT(owner []byte, ttl uint32, texts ...string) bool {
	at, ok := b.begin(owner, TypeTXT, ttl, 1)
	if !ok {
		return false
	}
	for _, s := range texts {
		for len(s) > 255 {
			b.appendString(s[:255])
			s = s[255:]
		}
		b.appendString(s)
	}
	if len(texts) == 0 {
		b.appendString("")
	}
	return b.end(at)
}

// HINFO appends a HINFO record, the small answer to ANY of RFC 8482 §4.2.
// cpu and os are at most 255 octets.
func (b *Builder) HINFO(owner []byte, ttl uint32, cpu, os string) bool {
	at, ok := b.begin(owner, TypeHINFO, ttl, 2+len(cpu)+len(os))
	if !ok {
		return false
	}
	b.appendString(cpu)
	b.appendString(os)
	return b.end(at)
}

// appendString appends one character string of at most 255 octets.
func (b *Builder) appendString(s string) {
	s = s[:min(len(s), 255)]
	b.buf = append(b.buf, byte(len(s)))
	b.buf = append(b.buf, s...)
}

// begin appends a record's head. atLeast is a lower bound of the RDATA's size,
// so that what cannot fit is refused before it is written. at is where the
// record begins.
func (b *Builder) begin(owner []byte, typ uint16, ttl uint32, atLeast int) (at place, ok bool) {
	return b.beginAt(owner, 0, typ, ttl, atLeast)
}

// beginAt is begin for an owner that is known to be at offset off of the
// message, unless that is 0.
func (b *Builder) beginAt(owner []byte, off int, typ uint16, ttl uint32, atLeast int) (at place, ok bool) {
	at.start = len(b.buf)
	least := 2 // a pointer
	if len(owner) == 1 || owner == nil && !b.question {
		least = 1 // the root
	}
	if at.start+least+recordHead+atLeast > b.limit {
		return at, false
	}
	switch {
	case off != 0:
		b.buf = append(b.buf, pointerMark|byte(off>>8), byte(off))
	case isSameOwner(owner):
		b.appendSameOwner()
	case owner != nil:
		b.appendName(owner, anySpelling)
	case b.question:
		b.buf = append(b.buf, pointerMark, HeaderLen)
	default:
		b.buf = append(b.buf, 0)
	}
	at.head = len(b.buf)
	b.buf = append(b.buf,
		byte(typ>>8), byte(typ), byte(b.class>>8), byte(b.class),
		byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), 0, 0)
	return at, true
}

// place is where a record begins in Builder.buf, and where its owner ends.
type place struct{ start, head int }

// recordHead is the size of type, class, TTL and RDLENGTH.
const recordHead = 10

// end fills in RDLENGTH and counts the record, or takes it back when it
// does not fit.
func (b *Builder) end(at place) bool {
	if len(b.buf) > b.limit {
		b.buf = b.buf[:at.start]
		b.names.rollback(at.start - b.base)
		return false
	}
	b.last = at.start - b.base
	binary.BigEndian.PutUint16(b.buf[at.head+8:], uint16(len(b.buf)-at.head-recordHead))
	msg := b.buf[b.base:]
	SetCount(msg, b.section, Count(msg, b.section)+1)
	return true
}

// inQuestion returns the offset in the message where the question's name has
// zone as its end, in that spelling; 0 if it has not, or if other names may be
// known by now. In a negative answer, the most frequent of those that need
// compression, it spares the table of names.
func (b *Builder) inQuestion(zone []byte) int {
	if b.names.used != 0 || !b.question || zone == nil {
		return 0
	}
	question := b.buf[b.base+HeaderLen:]
	at, ok := cutZone(question[:nameSkip(question, 0)], zone)
	if !ok {
		return 0
	}
	return HeaderLen + at
}

// cutZone returns where in name its last labels begin, which are those of zone
// in the same spelling.
func cutZone(name, zone []byte) (at int, ok bool) {
	at = len(name) - len(zone)
	if at < 0 || string(name[at:]) != string(zone) {
		return 0, false
	}
	i := 0
	for i < at {
		i += int(name[i]) + 1
	}
	return at, i == at
}

// appendBelow appends a name in RDATA. If off is not 0, zone is at this offset
// of the message, and the name is probably below it.
func (b *Builder) appendBelow(name, zone []byte, off int) {
	if off != 0 {
		if at, ok := cutZone(name, zone); ok {
			b.buf = append(b.buf, name[:at]...)
			b.buf = append(b.buf, pointerMark|byte(off>>8), byte(off))
			return
		}
	}
	b.appendName(name, sameSpelling)
}

// appendName appends a name, its longest known suffix replaced by a pointer
// if it may be, and remembers its parts for later names. The question's
// name is learnt when the first name comes, for many replies have none.
func (b *Builder) appendName(name []byte, how compression) {
	if b.names.used == 0 && b.question {
		b.names.rememberQuestion(b.buf[b.base+HeaderLen:])
	}
	b.buf = b.names.appendName(b.buf, b.base, name, how)
}
