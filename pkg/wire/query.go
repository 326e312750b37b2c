package wire

import "encoding/binary"

// Query is what ParseQuery found in a client's packet. It may also be filled
// by hand, to answer a client whose packet is gone: everything that writes a
// reply needs only ID, Flags, Name, Type, Class and EDNS.
type Query struct {
	ID    uint16
	Flags uint16 // as received; see the Flag constants, Opcode
	// Name is the question's name as sent, uncompressed. It aliases the packet.
	// nil: the packet held no readable question.
	Name        []byte
	Type, Class uint16
	// QuestionEnd is the offset after the question, HeaderLen when there is none.
	QuestionEnd int
	// End is the offset after the last record. Octets behind it are garbage,
	// which is tolerated, and never relayed.
	End  int
	EDNS EDNS
}

// Verdict is what a packet earned.
type Verdict uint8

// Verdicts. All but Accept and Drop are answered by
// AppendError(dst, q, v.Rcode(), OPT{}).
const (
	// Accept is one well-formed question of opcode QUERY.
	Accept Verdict = iota
	// Drop is a packet too short to hold a header, or a response. Answering
	// would start loops.
	Drop
	// FormErr is a question, record, OPT or option that does not parse; a count
	// that no QUERY has.
	FormErr
	// NotImp is an opcode other than QUERY, RFC 8906 §3.1.4. Opcode and id are
	// kept in the reply, and the question and the OPT where they could be read.
	NotImp
	// BadVers is an EDNS version above 0, RFC 6891 §6.1.3.
	BadVers
	// CookieOnly is a query with no question, only a COOKIE option, RFC 7873
	// §5.4. The answer is NOERROR with a cookie; a server without cookies may
	// send FORMERR.
	CookieOnly
)

// Rcode returns the response code with which to answer, RcodeSuccess for
// Accept, Drop and CookieOnly.
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

// String names the verdict for logs and tests.
func (v Verdict) String() string {
	switch v {
	case Accept:
		return "accept"
	case Drop:
		return "drop"
	case FormErr:
		return "formerr"
	case NotImp:
		return "notimp"
	case BadVers:
		return "badvers"
	case CookieOnly:
		return "cookieonly"
	}
	return "unknown"
}

// Limits on what may stand beside the question. They are those of miekg/dns's
// default, thus of kube-dns: IXFR puts an SOA into the authority section,
// and an OPT and a TSIG or SIG(0) into the additional one. Records other than
// OPT are checked for their bounds and ignored.
const (
	maxQueryAnswer     = 1
	maxQueryAuthority  = 1
	maxQueryAdditional = 2
)

// ParseQuery reads a packet from a client. q is overwritten whatever the
// verdict, with as much as could be read, so that AppendError can answer.
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

// ReplyLimit returns the size that a UDP reply to q must not exceed: the
// client's payload size or 512 without EDNS, and never more than ours.
func (q *Query) ReplyLimit(ours int) int {
	limit := MinPayload
	if q.EDNS.Present {
		limit = max(limit, int(q.EDNS.Size))
	}
	return min(limit, max(ours, MinPayload))
}

// parse reads everything after the header.
func (q *Query) parse(packet []byte) Verdict {
	qd := Count(packet, Question)
	an, ns, ar := Count(packet, Answer), Count(packet, Authority), Count(packet, Additional)
	// RFC 9619: exactly one question. None is left for a cookie alone.
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

// parseQuestion reads the question. Nothing stands before it that a pointer
// could mean, so a pointer there is an error.
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
