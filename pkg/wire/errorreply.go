package wire

// AppendError appends a reply with rcode and without records except an OPT record, which
// it has if and only if the query had one. The question, if there was one, is repeated as
// sent. Id, opcode, RD and CD are copied from the query; RA is set. An rcode above 15
// becomes SERVFAIL if the reply has no OPT record, which would carry its upper bits. With
// RcodeSuccess the reply is an empty answer.
func AppendError(dst []byte, q *Query, rcode int, opt OPT) []byte {
	if rcode > int(rcodeMask) && !q.EDNS.Present {
		rcode = RcodeServFail
	}
	base := len(dst)
	dst = AppendHeader(dst, q, FlagRA|uint16(rcode)&rcodeMask)
	if q.EDNS.Present {
		SetCount(dst[base:], Additional, 1)
		dst = appendOPT(dst, &opt, rcode, q.EDNS.DO, q.ReplyLimit(DefaultPayload)-(len(dst)-base))
	}
	return dst
}

// AppendTruncated appends an empty reply with TC set, which makes the client ask again
// over TCP.
func AppendTruncated(dst []byte, q *Query, opt OPT) []byte {
	base := len(dst)
	dst = AppendError(dst, q, RcodeSuccess, opt)
	SetFlags(dst[base:], Flags(dst[base:])|FlagTC)
	return dst
}

// Subject is what a query asks for.
type Subject struct {
	Name        []byte // in wire form, uncompressed
	Type, Class uint16
}

// AppendQuery appends a query for an upstream server. Only RD, AD and CD of flags are
// sent. If opt is nil, the query has no OPT record.
func AppendQuery(dst []byte, id, flags uint16, q Subject, opt *OPT) []byte {
	flags &= FlagRD | FlagAD | FlagCD
	var ar byte
	if opt != nil {
		ar = 1
	}
	dst = append(dst, byte(id>>8), byte(id), byte(flags>>8), byte(flags), 0, 1, 0, 0, 0, 0, 0, ar)
	dst = append(dst, q.Name...)
	dst = append(dst, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class))
	if opt != nil {
		dst = appendOPT(dst, opt, 0, opt.DO, MinPayload-len(dst))
	}
	return dst
}
