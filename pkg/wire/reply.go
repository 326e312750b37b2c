package wire

import "encoding/binary"

// Reply is a view of a whole, checked message of an upstream server.
type Reply struct {
	// Msg is the message from its header to its last record, without octets after that.
	// It shares memory with the slice passed to ParseReply.
	Msg   []byte
	ID    uint16 // message id
	Flags uint16 // the second 16 bits as received
	// Rcode is the extended response code, 0 to 4095.
	Rcode int
	// Name is the question's name as it stands in the reply, uncompressed. It is nil if
	// the reply has no question, as some errors do not. It shares memory with Msg.
	Name        []byte
	Type, Class uint16 // of the question
	QuestionEnd int    // the offset of the first record
	EDNS        EDNS   // the content of the OPT record

	optStart, optEnd int // offsets of the OPT record; both 0 if there is none
}

// maxNameSteps is how many labels and pointers after their first pointers the names of one
// reply may have in total. It makes reading a reply, and writing its names to another
// message, linear in its size: 64 KB of pointers to names of 127 labels would take a hundred
// times as long as normal replies. Names equal to the one before do not count.
const maxNameSteps = 1 << 16

// nameCheck checks the names of a reply.
type nameCheck struct {
	// The targets of the last pointers that begin an owner and a name in RDATA. The
	// names there are valid. -1 means none.
	owner, data int
	steps       int // see maxNameSteps
}

// end is NameEnd, with a shortcut for a name that is the same pointer as the last one of its
// kind.
func (n *nameCheck) end(msg []byte, off int, last *int) (end int, ok bool) {
	to := -1
	if off+2 <= len(msg) && msg[off]&pointerMark == pointerMark {
		if to = pointerAt(msg, off); to == *last {
			return off + 2, true
		}
	}
	end, steps, ok := nameEnd(msg, off)
	n.steps += steps
	if ok && to >= 0 {
		*last = to
	}
	return end, ok
}

// ParseReply reads an upstream server's message and checks all of it: the length of every
// record, every name, the RDATA of every type that it knows (so that incomplete RDATA is
// found), and the position and options of the OPT record. ok is false if msg is not a
// complete response with at most one question, or if it would take too long to read (see
// maxNameSteps). r shares memory with msg.
func ParseReply(msg []byte, r *Reply) (ok bool) {
	*r = Reply{}
	if len(msg) < HeaderLen || len(msg) > MaxMessage || Flags(msg)&FlagQR == 0 {
		return false
	}
	r.ID, r.Flags = ID(msg), Flags(msg)
	r.Rcode = Rcode(r.Flags)
	r.QuestionEnd = HeaderLen
	switch Count(msg, Question) {
	case 0:
	case 1:
		var q Query
		if !q.parseQuestion(msg) {
			return false
		}
		r.Name, r.Type, r.Class, r.QuestionEnd = q.Name, q.Type, q.Class, q.QuestionEnd
	default:
		return false
	}
	names := nameCheck{owner: HeaderLen, data: -1}
	if r.Name == nil {
		names.owner = -1
	}
	off := r.QuestionEnd
	if off, ok = r.parseSection(msg, off, Answer, &names); !ok {
		return false
	}
	if off, ok = r.parseSection(msg, off, Authority, &names); !ok {
		return false
	}
	if off, ok = r.parseSection(msg, off, Additional, &names); !ok {
		return false
	}
	r.Msg = msg[:off:off]
	r.Rcode |= int(r.EDNS.ExtendedRcode) << 4
	return true
}

func (r *Reply) parseSection(msg []byte, off int, s Section, names *nameCheck) (end int, ok bool) {
	var rec Record
	for range Count(msg, s) {
		start := off
		if !rec.read(msg, off, names) {
			return 0, false
		}
		off = rec.End
		if rec.Type == TypeOPT {
			if s != Additional || r.EDNS.Present || !r.EDNS.parse(msg[start:off]) {
				return 0, false
			}
			r.optStart, r.optEnd = start, off
			continue
		}
		if !checkRData(msg[:rec.End], rec.Type, rec.Class, rec.Data, names) || names.steps > maxNameSteps {
			return 0, false
		}
	}
	return off, true
}

// Truncated reports whether the reply has TC set.
func (r *Reply) Truncated() bool { return r.Flags&FlagTC != 0 }

// Answers reports whether the reply's question is q's: name without case, type
// and class. A reply without a question answers nothing.
func (r *Reply) Answers(q *Query) bool {
	return r.Name != nil && r.Type == q.Type && r.Class == q.Class && EqualNames(r.Name, q.Name)
}

// Record is one record of a Reply, given by offsets into its Msg.
type Record struct {
	Section Section // never Question
	Owner   int     // offset of the owner name, which may be compressed
	TTLAt   int     // offset of the TTL's four octets
	Data    int     // offset of the RDATA
	End     int     // offset after the RDATA
	Type    uint16  // the record's type
	Class   uint16  // the record's class
	// TTL is in seconds. A TTL with its top bit set becomes 0 (RFC 2181 §8).
	TTL uint32
}

// read reads the record at off except its RDATA. Most owners are a pointer to the question
// or to the previous owner.
func (rec *Record) read(msg []byte, off int, names *nameCheck) bool {
	at, ok := names.end(msg, off, &names.owner)
	if !ok || at+recordHead > len(msg) {
		return false
	}
	rec.fill(msg, off, at)
	return rec.End <= len(msg)
}

// fill reads a record whose owner, from off to at, has been checked.
func (rec *Record) fill(msg []byte, off, at int) {
	head := msg[at : at+recordHead]
	rec.Owner = off
	rec.Type = binary.BigEndian.Uint16(head)
	rec.Class = binary.BigEndian.Uint16(head[2:])
	rec.TTL = readTTL(head[4:])
	rec.TTLAt = at + 4
	rec.Data = at + recordHead
	rec.End = rec.Data + int(binary.BigEndian.Uint16(head[8:]))
}

// readTTL returns the TTL at the start of b, or 0 if its top bit is set (RFC 2181 §8).
func readTTL(b []byte) uint32 {
	if ttl := binary.BigEndian.Uint32(b); ttl < 1<<31 {
		return ttl
	}
	return 0
}

// Proves reports whether rec may be needed by a validating client to prove an answer: NSEC, NSEC3 and
// signatures in the authority section (RFC 4035 §3.1.3).
func (rec *Record) Proves() bool {
	return rec.Section == Authority && rec.Class == ClassIN && (rec.Type == TypeNSEC || rec.Type == TypeNSEC3 || rec.Type == TypeRRSIG)
}

// Iter visits the records of a Reply in order, except the OPT record.
type Iter struct {
	msg      []byte
	off      int
	optStart int
	section  Section
	left     int
}

// Records returns an iterator before the first record.
func (r *Reply) Records() Iter {
	return Iter{msg: r.Msg, off: r.QuestionEnd, optStart: r.optStart, section: Answer, left: Count(r.Msg, Answer)}
}

// Next reads the next record into rec. It returns false at the end.
func (it *Iter) Next(rec *Record) bool {
	for {
		for it.left == 0 {
			if it.section == Additional {
				return false
			}
			it.section++
			it.left = Count(it.msg, it.section)
		}
		it.left--
		start := it.off
		rec.fill(it.msg, start, nameSkip(it.msg, start))
		rec.Section = it.section
		it.off = rec.End
		if start != it.optStart {
			return true
		}
	}
}

// nameSkip is NameEnd for a name that NameEnd has accepted.
func nameSkip(msg []byte, off int) int {
	for {
		c := int(msg[off])
		if c&pointerMark != 0 {
			return off + 2
		}
		off += c + 1
		if c == 0 {
			return off
		}
	}
}

// SOA returns the first SOA record of the authority section whose owner is name or an
// ancestor of it. Negative answers have it there (RFC 2308 §3). Its TTL is how long such an
// answer is valid: the smaller of its own and its MINIMUM field (RFC 2308 §5). Whoever passes
// the record on must use this TTL, so that a cache behind us cannot start MINIMUM again.
func (r *Reply) SOA(name []byte) (rec Record, ok bool) {
	var buf [MaxName]byte
	other := -1 // the target of the last owner that is only a pointer and did not match
	for it := r.Records(); it.Next(&rec); {
		if rec.Section != Authority || rec.Type != TypeSOA {
			continue
		}
		to := pointerAt(r.Msg, rec.Owner)
		if to >= 0 && to == other {
			continue
		}
		if HasSuffix(name, appendKnownName(buf[:0], r.Msg, rec.Owner)) {
			rec.TTL = min(rec.TTL, readTTL(r.Msg[rec.End-4:]))
			return rec, true
		}
		other = to
	}
	return Record{}, false
}

// AppendTTLOffsets appends the offset of every record's TTL to dst, in order, except that of
// the OPT record.
func (r *Reply) AppendTTLOffsets(dst []uint16) []uint16 {
	var rec Record
	for it := r.Records(); it.Next(&rec); {
		dst = append(dst, uint16(rec.TTLAt))
	}
	return dst
}
