package wire

// Relay says how AppendReply relays an upstream server's reply.
type Relay struct {
	// Limit is the largest size of the message in octets: Query.ReplyLimit for UDP and
	// MaxMessage for TCP.
	Limit int
	// MaxTTL is the largest TTL in the answer section, in seconds (dnsmasq's --max-ttl);
	// 0 means no limit. A TTL with its top bit set becomes 0 in any case (RFC 2181 §8).
	MaxTTL uint32
	// KeepAD relays the AD bit (dnsmasq's --proxy-dnssec); otherwise it is cleared.
	KeepAD bool
	// OPT is sent if and only if the client's query had an OPT record. The upstream
	// server's OPT record is not relayed: it is for one hop (RFC 6891 §6.1.1).
	OPT OPT
}

// AppendReply appends an upstream server's reply as the answer to the client's query q. Id,
// opcode, RD, CD and the question, in the client's spelling, are copied from q; RA is set; AA
// and TC are those of the reply, and the rcode is its RelayedRcode. A message that exceeds the limit is compressed
// again; what still does not fit is left out from the end, by RRsets except for the first one
// of the answer, and TC is set if it was required (RFC 2181 §9). r must answer q
// (Reply.Answers).
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
	rcode := r.RelayedRcode()
	SetID(msg, q.ID)
	SetFlags(msg, relayFlags(q, r, o)|uint16(rcode)&rcodeMask)
	if q.EDNS.Present {
		SetCount(msg, Additional, Count(msg, Additional)+1)
		dst = appendOPT(dst, &o.OPT, rcode, q.EDNS.DO, max(o.Limit, MinPayload)-size)
	}
	return dst
}

// RelayedRcode returns the rcode of a reply that is relayed. An extended one, such as BADVERS or
// BADCOOKIE, is about the message between us and the upstream server, as is the OPT record that
// holds its upper bits. It means nothing to a client, who gets SERVFAIL.
func (r *Reply) RelayedRcode() int {
	if r.Rcode > int(rcodeMask) {
		return RcodeServFail
	}
	return r.Rcode
}

// relayFlags returns the flags of the relayed reply, without the rcode.
func relayFlags(q *Query, r *Reply, o *Relay) uint16 {
	keep := FlagAA | FlagTC
	if o.KeepAD {
		keep |= FlagAD
	}
	return replyFlags(q.Flags) | FlagRA | r.Flags&keep
}

// keepsTTLs reports whether no TTL in r has to change. TTLs cannot be changed in a copy of
// the message: the compression pointer of a malicious name may lead to one and read it as a
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

// appendRebuilt is AppendReply for messages that cannot be copied as they are because they
// are too long, have records after the OPT record, or have a TTL that must change.
func appendRebuilt(dst []byte, q *Query, r *Reply, o *Relay) []byte {
	bare := *q
	bare.EDNS = EDNS{}
	var (
		b    Builder
		rec  Record
		base = len(dst)
		most = max(o.Limit, MinPayload)
	)
	b.Start(dst, &bare, 2*MaxMessage) // any record fits after those that are within the limit
	b.SetRcode(r.RelayedRcode())
	b.setFlag(relayFlags(q, r, o), true)
	for it := r.Records(); it.Next(&rec) && len(b.buf)-base <= most; {
		ttl := rec.TTL
		if rec.Section == Answer && o.MaxTTL > 0 {
			ttl = min(ttl, o.MaxTTL)
		}
		b.Open(rec.Section)
		b.Copy(r.Msg, &rec, ttl)
	}
	return FinishReply(b.Finish(OPT{}), base, q, most, &o.OPT)
}

// sameOwner compares two owners of a message that a Builder has written, which compresses equal
// names alike.
func sameOwner(msg []byte, a, b int) bool {
	if to, other := pointerAt(msg, a), pointerAt(msg, b); to >= 0 && other >= 0 {
		return to == other
	}
	var buf [MaxName]byte
	return EqualNameAt(msg, b, appendKnownName(buf[:0], msg, a))
}

// copiedOwner identifies the owner of a record that Copy appended, if it was a pointer.
type copiedOwner struct {
	from *byte // first octet of the message that Copy read
	to   int   // target of the pointer in that message
	at   int   // offset of the appended record
}

// Copy appends a record of another message, which ParseReply has accepted, with the given
// TTL in seconds. Its names, including those in its RDATA, are expanded and compressed
// again. The class is the record's.
func (b *Builder) Copy(msg []byte, rec *Record, ttl uint32) bool {
	to := pointerAt(msg, rec.Owner)
	from := &msg[0]
	var buf [MaxName]byte
	owner := SameOwner // as in most answers
	if to < 0 || b.last == 0 || b.copied != (copiedOwner{from, to, b.last}) {
		owner = appendKnownName(buf[:0], msg, rec.Owner)
	}
	if !b.CopyAs(owner, msg, rec, ttl) {
		return false
	}
	b.copied = copiedOwner{from, to, b.last}
	return true
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
