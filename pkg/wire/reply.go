package wire

import "encoding/binary"

// Reply is a view of an upstream's whole, checked message.
type Reply struct {
	// Msg is the message from its header to its last record: garbage after it
	// is cut off. It aliases what was given to ParseReply.
	Msg   []byte
	ID    uint16
	Flags uint16
	// Rcode is the extended one, 0 to 4095.
	Rcode int
	// Name is the question's name as it stands in the reply, uncompressed. nil:
	// the reply has no question, as some errors do.
	Name        []byte
	Type, Class uint16
	// QuestionEnd is the offset of the first record. AuthorityStart and
	// AdditionalStart are where those sections begin.
	QuestionEnd, AuthorityStart, AdditionalStart int
	EDNS                                         EDNS

	optStart, optEnd int // the OPT record, both 0 when there is none
}

// maxNameSteps bounds the labels and pointers that the names of one reply pass
// through behind their first pointers, so that reading it, and writing its names
// in another message, is linear in its size: 64 KB of pointers to names of 127
// labels would cost a hundred times what honest replies do. Names equal to the
// one before do not count.
const maxNameSteps = 1 << 16

// nameCheck checks the names of a reply.
type nameCheck struct {
	// Where the last pointers lead, by which an owner and a name in RDATA begin.
	// What they lead to is known to be good. -1 for none.
	owner, data int
	steps       int // see maxNameSteps
}

// end is NameEnd for a name that may be like the last one of its kind.
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

// ParseReply reads an upstream server's message and checks all of it: every
// record's bounds, every name, the RDATA of every type that it knows (so that
// cut RDATA does not pass), the OPT record's place and options. ok is false when
// msg is not a whole response with at most one question, or not worth the work
// (see maxNameSteps).
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
	r.AuthorityStart = off
	if off, ok = r.parseSection(msg, off, Authority, &names); !ok {
		return false
	}
	r.AdditionalStart = off
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
		if !checkRData(msg, rec.Type, rec.Class, rec.Data, rec.End, names) || names.steps > maxNameSteps {
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

// AnswersExactly is Answers with the name's case compared too, for queries
// whose case was drawn at random.
func (r *Reply) AnswersExactly(q *Query) bool {
	return r.Name != nil && r.Type == q.Type && r.Class == q.Class && string(r.Name) == string(q.Name)
}

// Record is one record of a Reply, given by offsets into its Msg.
type Record struct {
	Section Section
	Owner   int // of the owner's name, maybe compressed
	TTLAt   int // of the TTL's four octets
	Data    int // of the RDATA
	End     int // after the RDATA
	Type    uint16
	Class   uint16
	// TTL is in seconds. One with its top bit set reads as 0, RFC 2181 §8.
	TTL uint32
}

// read reads the record at off, without a look at its RDATA. Most owners are a
// pointer to the question or to the owner before.
func (rec *Record) read(msg []byte, off int, names *nameCheck) bool {
	at, ok := names.end(msg, off, &names.owner)
	if !ok || at+recordHead > len(msg) {
		return false
	}
	rec.fill(msg, off, at)
	return rec.End <= len(msg)
}

// fill reads a record whose name from off to at is known to be good.
func (rec *Record) fill(msg []byte, off, at int) {
	head := msg[at : at+recordHead]
	rec.Owner = off
	rec.Type = binary.BigEndian.Uint16(head)
	rec.Class = binary.BigEndian.Uint16(head[2:])
	rec.TTL = binary.BigEndian.Uint32(head[4:])
	if rec.TTL >= 1<<31 {
		rec.TTL = 0
	}
	rec.TTLAt = at + 4
	rec.Data = at + recordHead
	rec.End = rec.Data + int(binary.BigEndian.Uint16(head[8:]))
}

// Iter walks the records of a Reply in order, without the OPT record.
type Iter struct {
	msg      []byte
	off      int
	optStart int
	section  Section
	left     int
}

// Records returns an iterator that stands before the first record.
func (r *Reply) Records() Iter {
	return Iter{msg: r.Msg, off: r.QuestionEnd, optStart: r.optStart, section: Answer, left: Count(r.Msg, Answer)}
}

// Next reads the next record into rec, and reports false at the end.
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

// nameSkip is NameEnd for a name that was checked before.
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

// SOA returns the first SOA record of the authority section whose owner is
// name or an ancestor of it, and its MINIMUM field. RFC 2308 §3 puts it there
// in negative answers.
func (r *Reply) SOA(name []byte) (rec Record, minimum uint32, ok bool) {
	var buf [MaxName]byte
	other := -1 // the last owner that is only a pointer, and not it
	for it := r.Records(); it.Next(&rec); {
		if rec.Section != Authority || rec.Type != TypeSOA {
			continue
		}
		to := pointerAt(r.Msg, rec.Owner)
		if to >= 0 && to == other {
			continue
		}
		if HasSuffix(name, appendKnownName(buf[:0], r.Msg, rec.Owner)) {
			return rec, binary.BigEndian.Uint32(r.Msg[rec.End-4:]), true
		}
		other = to
	}
	return Record{}, 0, false
}

// MinTTL returns the smallest TTL in a section, ok false when the section has
// no records.
func (r *Reply) MinTTL(s Section) (ttl uint32, ok bool) {
	var rec Record
	for it := r.Records(); it.Next(&rec); {
		if rec.Section == s && (!ok || rec.TTL < ttl) {
			ttl, ok = rec.TTL, true
		}
	}
	return ttl, ok
}

// AppendTTLOffsets appends the offset of every record's TTL to dst, in order,
// the OPT record's left out.
func (r *Reply) AppendTTLOffsets(dst []uint16) []uint16 {
	var rec Record
	for it := r.Records(); it.Next(&rec); {
		dst = append(dst, uint16(rec.TTLAt))
	}
	return dst
}
