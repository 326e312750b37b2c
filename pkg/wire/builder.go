package wire

import (
	"encoding/binary"
	"net/netip"
)

// Builder makes one reply in the caller's slice. Start begins the reply, the record
// methods append to the current section, and Finish completes it. A record method that
// returns false has appended nothing because the record did not fit. The caller must
// then act according to RFC 2181 §9: if a record of a required RRset is missing, call
// SetTC; leave an additional RRset out completely, with Mark and Rollback, without
// setting TC.
//
// Owner names and names in RDATA are in uncompressed wire form. A nil owner stands for
// the question's name. Records get the question's class, or IN if that is ANY or
// missing.
//
// The zero value is ready for Start, and a Builder may be reused. It must not be copied
// after Start, and only one goroutine may use it at a time. It keeps no slice except
// the one passed to Start.
type Builder struct {
	buf      []byte      // the slice passed to Start, with the message at its end
	base     int         // offset of the message in buf
	limit    int         // length of buf that records must not exceed
	max      int         // length of buf that the OPT record must not exceed
	rcode    int         // extended response code
	class    uint16      // class of the records
	question bool        // the message has a question
	edns, do bool        // the query has an OPT record, and the DO bit in it
	section  Section     // where records are appended
	last     int         // offset in the message of the last record's owner; 0 if there is none
	names    nameTable   // where names stand in the message, for compression
	copied   copiedOwner // the owner of the last record, if Copy appended it
}

// cookieRoom is the size of the largest COOKIE option (RFC 7873 §4).
const cookieRoom = 4 + 40

// Start begins the reply to q at the end of dst. Id, opcode, RD and CD are copied from
// q, QR and RA are set, and the question is repeated in the same spelling. The message
// will not exceed limit octets (at least 512); space for an OPT record is reserved if q
// has one. dst should have enough capacity for the message. The Builder owns dst until
// Finish.
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

// AppendHeader appends the header of a reply to q, and q's question if it has one. Id,
// opcode, RD and CD are copied from q, QR and flags are set, and the counts of records
// are zero. flags may include an rcode.
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

// SetTC sets the flag TC.
func (b *Builder) SetTC() { b.setFlag(FlagTC, true) }

// SetRcode changes the response code, which is NOERROR after Start. A code above 15
// becomes SERVFAIL if the query had no OPT record, which would carry its upper bits.
func (b *Builder) SetRcode(rcode int) { b.rcode = rcode }

func (b *Builder) setFlag(flag uint16, on bool) {
	msg := b.buf[b.base:]
	flags := Flags(msg) &^ flag
	if on {
		flags |= flag
	}
	SetFlags(msg, flags)
}

// Open makes s the current section. It must not be before the section that is current
// now.
func (b *Builder) Open(s Section) { b.section = max(s, b.section) }

// Count returns the number of records in a section so far.
func (b *Builder) Count(s Section) int { return Count(b.buf[b.base:], s) }

// Room returns how many octets are left for records.
func (b *Builder) Room() int { return b.limit - len(b.buf) }

// Mark is a position in a reply to which Rollback can return.
type Mark struct {
	len     int // of Builder.buf
	section Section
	counts  [3]uint16
}

// Mark returns the current position.
func (b *Builder) Mark() Mark {
	m := Mark{len: len(b.buf), section: b.section}
	for i := range m.counts {
		m.counts[i] = uint16(b.Count(Answer + Section(i)))
	}
	return m
}

// Rollback removes every record appended since Mark returned m.
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

// Record appends a record with complete RDATA, which must not contain compressed names.
func (b *Builder) Record(owner []byte, typ uint16, ttl uint32, rdata []byte) bool {
	at, ok := b.begin(owner, typ, ttl, len(rdata))
	if !ok {
		return false
	}
	b.buf = append(b.buf, rdata...)
	return b.end(at)
}

// Addr appends an A record for an IPv4 address, and an AAAA record for an IPv6 address,
// which includes IPv4-mapped ones. addr must be valid.
func (b *Builder) Addr(owner []byte, ttl uint32, addr netip.Addr) bool {
	if addr.Is4() {
		a := addr.As4()
		return b.Record(owner, TypeA, ttl, a[:])
	}
	a := addr.As16()
	return b.Record(owner, TypeAAAA, ttl, a[:])
}

// NameRecord appends a record whose RDATA is one name that may be compressed (RFC 3597
// §4): CNAME, PTR or NS.
func (b *Builder) NameRecord(owner []byte, typ uint16, ttl uint32, target []byte) bool {
	at, ok := b.begin(owner, typ, ttl, 1)
	if !ok {
		return false
	}
	b.appendName(target, sameSpelling)
	return b.end(at)
}

// SRV is the RDATA of an SRV record, RFC 2782.
type SRV struct {
	Priority, Weight, Port uint16
	Target                 []byte // in wire form
}

// SRV appends an SRV record. Its target is not compressed, RFC 2782.
func (b *Builder) SRV(owner []byte, ttl uint32, srv SRV) bool {
	at, ok := b.begin(owner, TypeSRV, ttl, 6+len(srv.Target))
	if !ok {
		return false
	}
	b.buf = binary.BigEndian.AppendUint16(b.buf, srv.Priority)
	b.buf = binary.BigEndian.AppendUint16(b.buf, srv.Weight)
	b.buf = binary.BigEndian.AppendUint16(b.buf, srv.Port)
	b.appendName(srv.Target, inFull)
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

// TXT appends a TXT record of the given character strings. Strings longer than 255
// octets are split.
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

// HINFO appends a HINFO record, which is the small answer to ANY queries of RFC 8482
// §4.2. cpu and os are cut after 255 octets.
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

// begin appends the owner, type, class and TTL of a record. atLeast is a lower bound of
// the size of its RDATA, in octets, so that a record that cannot fit is refused before
// it is written.
func (b *Builder) begin(owner []byte, typ uint16, ttl uint32, atLeast int) (at recordStart, ok bool) {
	return b.beginAt(owner, 0, typ, ttl, atLeast)
}

// beginAt is begin for an owner that stands at offset off of the message already, or
// nowhere if off is 0.
func (b *Builder) beginAt(owner []byte, off int, typ uint16, ttl uint32, atLeast int) (at recordStart, ok bool) {
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

// recordStart says where in Builder.buf a record begins, and where its owner ends.
type recordStart struct{ start, head int }

// recordHead is the size of type, class, TTL and RDLENGTH.
const recordHead = 10

// end completes a record: it sets RDLENGTH and counts the record, or removes the record
// and returns false if it does not fit.
func (b *Builder) end(at recordStart) bool {
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

// inQuestion returns the offset in the message at which the question's name ends in
// zone, in the same spelling. It returns 0 if it does not, or if the table of names is
// in use already. Negative answers, the most frequent answers that need compression,
// thus do not need that table.
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

// cutZone returns the offset in name at which the labels of zone begin, if name ends in
// zone in the same spelling.
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

// appendBelow appends a name in RDATA. If off is not 0, zone stands at this offset of
// the message, and is used to compress a name below it.
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

// appendName appends a name, replaces its longest known suffix by a pointer if how
// allows it, and remembers its suffixes for later names. The question's name is added
// to the table only with the first other name, because many replies have none.
func (b *Builder) appendName(name []byte, how compression) {
	if b.names.used == 0 && b.question {
		b.names.rememberQuestion(b.buf[b.base+HeaderLen:])
	}
	b.buf = b.names.appendName(b.buf, b.base, name, how)
}
