package wire

// FinishReply completes a reply to q that stands at dst[base:] and has no OPT record. It
// removes RRsets from the end, of the first one in the answer only records, until the message
// with its OPT record fits into limit octets, sets TC if a removed record was required (RFC
// 2181 §9), and appends the OPT record if q has one. A nil opt stands for the zero OPT. The
// message must be valid.
func FinishReply(dst []byte, base int, q *Query, limit int, opt *OPT) []byte {
	if opt == nil {
		opt = &OPT{}
	}
	limit = max(limit, MinPayload)
	room := limit
	if q.EDNS.Present {
		room -= opt.size()
	}
	if len(dst)-base > room {
		dst = dst[:base+truncate(dst[base:], room)]
	}
	if !q.EDNS.Present {
		return dst
	}
	msg := dst[base:]
	SetCount(msg, Additional, Count(msg, Additional)+1)
	return appendOPT(dst, opt, Rcode(Flags(msg)), q.EDNS.DO, limit-len(msg))
}

// truncate removes records from the end of msg until it has at most room octets, corrects
// the counts, sets TC if necessary, and returns the new length.
func truncate(msg []byte, room int) int {
	off := HeaderLen
	if Count(msg, Question) == 1 {
		off = nameSkip(msg, off) + 4
	}
	var (
		rec     Record
		answers = Count(msg, Answer)
	)
	var whole wholeSets
	for s := Answer; s <= Additional; s++ {
		set, setCount, setType := off, 0, uint16(0) // where the current RRset began
		setOwner := 0
		for i := range Count(msg, s) {
			rec.fill(msg, off, nameSkip(msg, off))
			if i == 0 || rec.Type != setType || !sameOwner(msg, off, setOwner) {
				set, setCount, setType, setOwner = off, i, rec.Type, off
				whole.begin(s, rec.Type)
			}
			if rec.End <= room {
				off = rec.End
				continue
			}
			kept := i
			if required(s, rec.Type, answers) {
				SetFlags(msg, Flags(msg)|FlagTC)
			}
			if whole.only {
				off, kept = set, setCount
			}
			SetCount(msg, s, kept)
			for s++; s <= Additional; s++ {
				SetCount(msg, s, 0)
			}
			return off
		}
	}
	return off
}

// wholeSets tells which RRsets are left out as a whole where one of their records does not
// fit (RFC 2181 §9): all but the first one in the answer section that is no alias, because a
// part of it serves a client better than nothing.
type wholeSets struct {
	only bool // the current RRset is left out as a whole
	data bool // the first one was seen
}

// begin is called for the first record of each RRset, in the order of the message.
func (w *wholeSets) begin(s Section, typ uint16) {
	w.only = w.data || s != Answer
	switch typ {
	case TypeCNAME, TypeDNAME, TypeRRSIG:
	default:
		w.data = true
	}
}

// required reports whether a reply without a record of this type and section is
// incomplete (RFC 2181 §9). Records of the answer section are required, and so are those of
// the authority section, except for NS records beside an answer. Additional records are
// not.
func required(s Section, typ uint16, answers int) bool {
	return s == Answer || s == Authority && (answers == 0 || typ != TypeNS)
}
