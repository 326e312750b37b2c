package wire

// AppendError appends a reply that holds nothing but rcode: the question as
// sent, if there was one, and an OPT record if and only if the query had one.
// Id, opcode, RD and CD are the query's; RA is set. An rcode above 15 becomes
// SERVFAIL where there is no OPT to carry it. With RcodeSuccess the reply is
// an empty answer.
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

// AppendTruncated appends an empty reply with TC set, which sends the client
// to TCP.
func AppendTruncated(dst []byte, q *Query, opt OPT) []byte {
	base := len(dst)
	dst = AppendError(dst, q, RcodeSuccess, opt)
	SetFlags(dst[base:], Flags(dst[base:])|FlagTC)
	return dst
}

// AppendQuery appends a question to an upstream. Of flags, RD, AD and CD are
// sent. A nil opt sends no OPT record.
func AppendQuery(dst []byte, id, flags uint16, name []byte, typ, class uint16, opt *OPT) []byte {
	flags &= FlagRD | FlagAD | FlagCD
	var ar byte
	if opt != nil {
		ar = 1
	}
	dst = append(dst, byte(id>>8), byte(id), byte(flags>>8), byte(flags), 0, 1, 0, 0, 0, 0, 0, ar)
	dst = append(dst, name...)
	dst = append(dst, byte(typ>>8), byte(typ), byte(class>>8), byte(class))
	if opt != nil {
		dst = appendOPT(dst, opt, 0, opt.DO, MinPayload-len(dst))
	}
	return dst
}
