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

// ParseReply reads an upstream's message and checks all of it: every record's
// bounds, every name, the RDATA of every type that it knows (so that cut RDATA
// does not pass), the OPT record's place and options. ok is false when msg is
// not a whole response with at most one question.
func ParseReply(msg []byte, r *Reply) (ok bool) {
	*r = Reply{}
	if len(msg) < HeaderLen || Flags(msg)&FlagQR == 0 {
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
	off := r.QuestionEnd
	if off, ok = r.parseSection(msg, off, Answer); !ok {
		return false
	}
	r.AuthorityStart = off
	if off, ok = r.parseSection(msg, off, Authority); !ok {
		return false
	}
	r.AdditionalStart = off
	if off, ok = r.parseSection(msg, off, Additional); !ok {
		return false
	}
	r.Msg = msg[:off:off]
	r.Rcode |= int(r.EDNS.ExtendedRcode) << 4
	return true
}

func (r *Reply) parseSection(msg []byte, off int, s Section) (end int, ok bool) {
	var rec Record
	for range Count(msg, s) {
		start := off
		if !rec.read(msg, off, r.Name != nil) {
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
		if !checkRData(msg, rec.Type, rec.Class, rec.Data, rec.End) {
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

// read reads the record at off, without a look at its RDATA. Where the
// question was read, a pointer to it, as most owners are, is known to be good.
func (rec *Record) read(msg []byte, off int, question bool) bool {
	at, ok := off+2, question && off+2 <= len(msg) && msg[off] == pointerMark && msg[off+1] == HeaderLen
	if !ok {
		at, ok = NameEnd(msg, off)
	}
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
	it := r.Records()
	for it.Next(&rec) {
		if rec.Section == Authority && rec.Type == TypeSOA {
			owner, _, _ := AppendName(buf[:0], r.Msg, rec.Owner)
			if HasSuffix(name, owner) {
				return rec, binary.BigEndian.Uint32(r.Msg[rec.End-4:]), true
			}
		}
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
