package wire

// Relay says how AppendReply passes an upstream's reply on.
type Relay struct {
	// Limit is the size that the message must not exceed, Query.ReplyLimit for
	// UDP and MaxMessage for TCP.
	Limit int
	// MaxTTL caps the TTLs of the answer section (dnsmasq's --max-ttl), 0 does
	// not. TTLs with their top bit set become 0 in any case, RFC 2181 §8.
	MaxTTL uint32
	// KeepAD passes AD on (dnsmasq's --proxy-dnssec); otherwise it is cleared.
	KeepAD bool
	// OPT is sent if the client's query had one, never otherwise. The
	// upstream's own OPT ends here: it is per hop, RFC 6891 §6.1.1.
	OPT OPT
}

// AppendReply appends an upstream's reply as the answer to the client's query
// q: id, opcode, RD and CD and the question in the client's spelling, RA set,
// AA, TC and the rcode as upstream sent them. If it exceeds the limit it is
// compressed anew; what still does not fit is left out from the end in
// whole records, with TC where it was required (RFC 2181 §9). r must answer
// q (Reply.Answers).
func AppendReply(dst []byte, q *Query, r *Reply, o *Relay) []byte {
	held := 0
	if q.EDNS.Present {
		held = o.OPT.size()
	}
	size := len(r.Msg)
	whole := r.optEnd == 0
	if r.optEnd == size {
		size, whole = r.optStart, true
	}
	base := len(dst)
	whole = whole && len(r.Name) == len(q.Name) && size+held <= max(o.Limit, MinPayload)
	if !whole || !keepsTTLs(r, o.MaxTTL) {
		return appendRebuilt(dst, q, r, o)
	}
	dst = append(dst, r.Msg[:size]...)
	msg := dst[base:]
	copy(msg[HeaderLen:], q.Name)
	if r.optEnd != 0 {
		SetCount(msg, Additional, Count(msg, Additional)-1)
	}
	rcode := relayRcode(q, r)
	SetID(msg, q.ID)
	SetFlags(msg, relayFlags(q, r, o)|uint16(rcode)&rcodeMask)
	if q.EDNS.Present {
		SetCount(msg, Additional, Count(msg, Additional)+1)
		dst = appendOPT(dst, &o.OPT, rcode, q.EDNS.DO, max(o.Limit, MinPayload)-size)
	}
	return dst
}

// relayRcode is upstream's rcode, as far as the client can be told.
func relayRcode(q *Query, r *Reply) int {
	if r.Rcode > int(rcodeMask) && !q.EDNS.Present {
		return RcodeServFail
	}
	return r.Rcode
}

func relayFlags(q *Query, r *Reply, o *Relay) uint16 {
	keep := FlagAA | FlagTC
	if o.KeepAD {
		keep |= FlagAD
	}
	return replyFlags(q.Flags) | FlagRA | r.Flags&keep
}

// keepsTTLs reports whether every TTL may be given out as it stands in r. TTLs
// are not changed in a copy: a hostile name may point at one and read it as a
// label.
func keepsTTLs(r *Reply, limit uint32) bool {
	if limit == 0 {
		limit = 1<<31 - 1
	}
	var rec Record
	for it := r.Records(); it.Next(&rec); {
		if r.Msg[rec.TTLAt]&0x80 != 0 || rec.Section == Answer && rec.TTL > limit {
			return false
		}
	}
	return true
}

// appendRebuilt is AppendReply for messages that cannot be copied as they are:
// too long, with records behind the OPT, or with a TTL to change.
func appendRebuilt(dst []byte, q *Query, r *Reply, o *Relay) []byte {
	var b Builder
	b.Start(dst, q, o.Limit)
	b.SetRcode(r.Rcode)
	b.setFlag(relayFlags(q, r, o), true)
	var (
		rec, last Record
		set       = b.Mark() // where the present RRset began
	)
	answers := Count(r.Msg, Answer)
	for it := r.Records(); it.Next(&rec); {
		b.Open(rec.Section)
		needed := required(rec.Section, rec.Type, answers)
		if !needed && (rec.Type != last.Type || rec.Section != last.Section || !sameOwner(r.Msg, rec.Owner, last.Owner)) {
			set = b.Mark()
		}
		last = rec
		ttl := rec.TTL
		if rec.Section == Answer && o.MaxTTL > 0 {
			ttl = min(ttl, o.MaxTTL)
		}
		if b.Copy(r.Msg, &rec, ttl) {
			continue
		}
		if needed {
			b.SetTC()
		} else {
			b.Rollback(set)
		}
		break
	}
	return b.Finish(o.OPT)
}

// sameOwner compares two names of one message.
func sameOwner(msg []byte, a, b int) bool {
	if to := pointerAt(msg, a); a == b || to >= 0 && to == pointerAt(msg, b) {
		return true
	}
	var buf [MaxName]byte
	return EqualNameAt(msg, b, appendKnownName(buf[:0], msg, a))
}

// copiedOwner says that the record appended at an offset has an owner that Copy
// read through a pointer.
type copiedOwner struct {
	from *byte // first octet of the message that Copy read
	to   int   // where the pointer there leads to
	at   int   // the offset of the record
}

// Copy appends a record of another message, which ParseReply accepted, with a
// TTL of its own. Its names, those in its RDATA included, are expanded and
// compressed anew, so it does not depend on where it stood. The class is the
// record's.
func (b *Builder) Copy(msg []byte, rec *Record, ttl uint32) bool {
	to := pointerAt(msg, rec.Owner)
	from := &msg[0]
	var ok bool
	if to >= 0 && b.last != 0 && b.copied == (copiedOwner{from, to, b.last}) {
		ok = b.CopyAs(SameOwner, msg, rec, ttl) // as in most answers
	} else {
		var buf [MaxName]byte
		ok = b.CopyAs(appendKnownName(buf[:0], msg, rec.Owner), msg, rec, ttl)
	}
	if ok {
		b.copied = copiedOwner{from, to, b.last}
	}
	return ok
}

// CopyAs is Copy with another owner.
func (b *Builder) CopyAs(owner, msg []byte, rec *Record, ttl uint32) bool {
	class := b.class
	b.class = rec.Class
	head, ok := b.begin(owner, rec.Type, ttl, 0)
	b.class = class
	if !ok {
		return false
	}
	at := rec.Data
	if l := layoutOf(rec.Type, rec.Class); l.names > 0 {
		var buf [MaxName]byte
		at = namesStart(msg, l, rec.Data, rec.End)
		b.buf = append(b.buf, msg[rec.Data:at]...)
		for range l.names {
			b.appendName(appendKnownName(buf[:0], msg, at), l.compress)
			at = nameSkip(msg, at)
		}
	}
	b.buf = append(b.buf, msg[at:rec.End]...)
	return b.end(head)
}
