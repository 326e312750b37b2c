package wire

import "encoding/binary"

// Query is a client's query as ParseQuery found it in a packet. It may also be filled by
// hand, to answer a client whose packet is no longer available: the functions that write
// replies use only ID, Flags, Name, Type, Class and EDNS.
type Query struct {
	ID    uint16 // message id
	Flags uint16 // the second 16 bits as received; see the Flag constants and Opcode
	// Name is the question's name as sent, uncompressed. It shares memory with the
	// packet. It is nil if the packet has no readable question.
	Name        []byte
	Type, Class uint16 // of the question
	// QuestionEnd is the offset after the question, or HeaderLen if there is none.
	QuestionEnd int
	// End is the offset after the last record. Octets after it are ignored, and never
	// relayed.
	End  int
	EDNS EDNS // the content of the OPT record; shares memory with the packet
}

// Verdict says how to treat a packet.
type Verdict uint8

// Verdicts. All but Accept and Drop are answered by
// AppendError(dst, q, v.Rcode(), OPT{}).
const (
	// Accept means one valid question of opcode QUERY.
	Accept Verdict = iota
	// Drop means that the packet is shorter than a header, or is a response, which
	// must not be answered because that could start a loop.
	Drop
	// FormErr means that a question, record, OPT record or option is invalid, or that a
	// count is not possible in a QUERY.
	FormErr
	// NotImp means an opcode other than QUERY (RFC 8906 §3.1.4). The reply repeats
	// opcode and id, and the question and the OPT record if they could be read.
	NotImp
	// BadVers means an EDNS version above 0 (RFC 6891 §6.1.3).
	BadVers
	// CookieOnly means a query with a COOKIE option and without a question (RFC 7873
	// §5.4). The answer is NOERROR with a cookie; a server without cookies may send
	// FORMERR.
	CookieOnly
)

// Rcode returns the response code of the answer, which is RcodeSuccess for Accept, Drop
// and CookieOnly.
func (v Verdict) Rcode() int {
	switch v {
	case FormErr:
		return RcodeFormErr
	case NotImp:
		return RcodeNotImp
	case BadVers:
		return RcodeBadVers
	}
	return RcodeSuccess
}

// String returns the name of the verdict for logs and tests.
func (v Verdict) String() string {
	return [...]string{"accept", "drop", "formerr", "notimp", "badvers", "cookieonly", "unknown"}[min(v, CookieOnly+1)]
}

// The number of records allowed in each section of a query. They are the defaults of
// miekg/dns, and so those of kube-dns: IXFR has an SOA record in the authority section, and
// the additional section may hold an OPT record and a TSIG or SIG(0) record. For records
// other than OPT only the length is checked.
const (
	maxQueryAnswer     = 1
	maxQueryAuthority  = 1
	maxQueryAdditional = 2
)

// ParseQuery reads a packet from a client. Whatever the verdict, it overwrites q with as
// much as it could read, so that AppendError can answer. q shares memory with packet.
func ParseQuery(packet []byte, q *Query) Verdict {
	*q = Query{QuestionEnd: HeaderLen, End: HeaderLen}
	if len(packet) < HeaderLen {
		return Drop
	}
	q.ID, q.Flags = ID(packet), Flags(packet)
	if q.Flags&FlagQR != 0 {
		return Drop
	}
	v := q.parse(packet)
	if q.Opcode() != OpcodeQuery {
		return NotImp
	}
	return v
}

// Opcode returns the query's opcode.
func (q *Query) Opcode() int { return Opcode(q.Flags) }

// ReplyLimit returns the largest size of a UDP reply to q, in octets: the client's payload
// size, or 512 without EDNS, and at most ours and MaxPacket.
func (q *Query) ReplyLimit(ours int) int {
	limit := MinPayload
	if q.EDNS.Present {
		limit = max(limit, int(q.EDNS.Size))
	}
	return min(limit, max(ours, MinPayload), MaxPacket)
}

// parse reads everything after the header.
func (q *Query) parse(packet []byte) Verdict {
	qd := Count(packet, Question)
	an, ns, ar := Count(packet, Answer), Count(packet, Authority), Count(packet, Additional)
	// RFC 9619: exactly one question. Only a query for a cookie has none.
	if qd > 1 || an > maxQueryAnswer || ns > maxQueryAuthority || ar > maxQueryAdditional {
		return FormErr
	}
	if qd == 1 && !q.parseQuestion(packet) {
		return FormErr
	}
	off := q.QuestionEnd
	for range an + ns {
		typ, end, ok := skipRecord(packet, off)
		if !ok || typ == TypeOPT {
			return FormErr
		}
		off = end
	}
	q.End = off
	for range ar {
		typ, end, ok := skipRecord(packet, off)
		if !ok {
			return FormErr
		}
		if typ == TypeOPT {
			if q.EDNS.Present || !q.EDNS.parse(packet[off:end]) {
				return FormErr
			}
		}
		off = end
	}
	q.End = off
	switch {
	case q.EDNS.Version > 0:
		return BadVers
	case qd == 0 && (q.EDNS.ClientCookie == nil || an+ns > 0):
		return FormErr
	case qd == 0:
		return CookieOnly
	}
	return Accept
}

// parseQuestion reads the question. A compression pointer in it is an error, because there
// is no name before it.
func (q *Query) parseQuestion(packet []byte) bool {
	off := HeaderLen
	for {
		if off >= len(packet) {
			return false
		}
		c := int(packet[off])
		off += c + 1
		if c > MaxLabel || off-HeaderLen > MaxName {
			return false
		}
		if c == 0 {
			break
		}
	}
	if off+4 > len(packet) {
		return false
	}
	q.Name = packet[HeaderLen:off:off]
	q.Type = binary.BigEndian.Uint16(packet[off:])
	q.Class = binary.BigEndian.Uint16(packet[off+2:])
	q.QuestionEnd = off + 4
	q.End = off + 4
	return true
}

// skipRecord returns the type of the record at off and the offset after it.
func skipRecord(msg []byte, off int) (typ uint16, end int, ok bool) {
	off, ok = NameEnd(msg, off)
	if !ok || off+recordHead > len(msg) {
		return 0, 0, false
	}
	end = off + recordHead + int(binary.BigEndian.Uint16(msg[off+8:]))
	return binary.BigEndian.Uint16(msg[off:]), end, end <= len(msg)
}
