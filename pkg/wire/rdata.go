package wire

// layout describes the RDATA of a type: fixed octets, then names, then more octets. It is
// used to check RDATA and to copy it into another message.
type layout struct {
	kind   layoutKind
	prefix uint8 // octets before the names
	names  uint8 // number of names
	suffix uint8 // octets after the names; exactly or at least, see kind
	// compress is sameSpelling if the names may be compressed (RFC 3597 §4).
	compress compression
}

type layoutKind uint8

const (
	opaque    layoutKind = iota // anything
	exact                       // prefix, names, suffix and nothing more
	open                        // suffix is a minimum
	texts                       // one or more character strings
	twoTexts                    // two character strings
	naptr                       // prefix, three character strings, one name
	parameter                   // like open, then SvcParams: key, length, value
	bitmap                      // like open, then type bitmaps: window, length, bits
)

// layoutOf returns the layout of a type's RDATA. An A record in class CH has a name and an
// address of 16 bits; RFC 1035 §3.4.1 applies only to class IN.
func layoutOf(typ, class uint16) layout {
	switch typ {
	case TypeA:
		switch class {
		case ClassCH:
			return layout{kind: exact, names: 1, suffix: 2}
		case ClassIN:
			return layout{kind: exact, suffix: 4}
		}
	case TypeAAAA:
		return layout{kind: exact, suffix: 16}
	case TypeNS, TypeCNAME, TypePTR, TypeMB, TypeMG, TypeMR, TypeMD, TypeMF:
		return layout{kind: exact, names: 1, compress: sameSpelling}
	case TypeSOA:
		return layout{kind: exact, names: 2, suffix: 20, compress: sameSpelling}
	case TypeMINFO:
		return layout{kind: exact, names: 2, compress: sameSpelling}
	case TypeMX:
		return layout{kind: exact, prefix: 2, names: 1, compress: sameSpelling}
	case TypeDNAME:
		return layout{kind: exact, names: 1}
	case TypeRP:
		return layout{kind: exact, names: 2}
	case TypeAFSDB, TypeRT, TypeKX:
		return layout{kind: exact, prefix: 2, names: 1}
	case TypePX:
		return layout{kind: exact, prefix: 2, names: 2}
	case TypeSRV:
		return layout{kind: exact, prefix: 6, names: 1}
	case TypeNAPTR:
		return layout{kind: naptr, prefix: 4, names: 1}
	case TypeSIG, TypeRRSIG:
		return layout{kind: open, prefix: 18, names: 1, suffix: 1}
	case TypeNXT:
		return layout{kind: open, names: 1}
	case TypeNSEC:
		return layout{kind: bitmap, names: 1}
	case TypeSVCB, TypeHTTPS:
		return layout{kind: parameter, prefix: 2, names: 1}
	case TypeTXT, TypeSPF:
		return layout{kind: texts}
	case TypeHINFO:
		return layout{kind: twoTexts}
	case TypeDS:
		return layout{kind: open, suffix: 5}
	case TypeDNSKEY:
		return layout{kind: open, suffix: 5}
	}
	return layout{}
}

// checkRData reports whether the RDATA in msg[data:] is complete: every name in it is
// valid and ends inside it, and no length in it extends beyond it.
func checkRData(msg []byte, typ, class uint16, data int, names *nameCheck) bool {
	end := len(msg)
	if typ == TypeA && class == ClassIN {
		return end-data == 4
	}
	l := layoutOf(typ, class)
	switch l.kind {
	case opaque:
		return true
	case texts:
		return end > data && skipTexts(msg, data, end, -1) == end
	case twoTexts:
		return skipTexts(msg, data, end, 2) == end
	}
	at := namesStart(msg, l, data, end)
	if at < 0 {
		return false
	}
	for range l.names {
		next, ok := names.end(msg, at, &names.data)
		if !ok {
			return false
		}
		at = next
	}
	switch l.kind {
	case exact, naptr:
		return at+int(l.suffix) == end
	case parameter:
		return checkParameters(msg[at:])
	case bitmap:
		return checkBitmap(msg[at:])
	}
	return at+int(l.suffix) <= end
}

// namesStart returns the offset of the first name in the RDATA, or -1 if that is after its
// end.
func namesStart(msg []byte, l layout, data, end int) int {
	at := data + int(l.prefix)
	if at <= end && l.kind == naptr {
		at = skipTexts(msg, at, end, 3)
	}
	if at > end {
		return -1
	}
	return at
}

// skipTexts returns the offset after n character strings, or after all of them if n is
// negative. It returns -1 if one extends beyond end or is missing.
func skipTexts(msg []byte, at, end, n int) int {
	for n != 0 {
		if at >= end {
			if n < 0 && at == end {
				return at
			}
			return -1
		}
		at += int(msg[at]) + 1
		n--
	}
	if at > end {
		return -1
	}
	return at
}

// checkParameters checks the lengths of SvcParams (RFC 9460 §2.2).
func checkParameters(p []byte) bool {
	for len(p) > 0 {
		_, _, rest, ok := NextOption(p) // the same layout as EDNS options
		if !ok {
			return false
		}
		p = rest
	}
	return true
}

// checkBitmap checks the blocks of a type bitmap, RFC 4034 §4.1.2.
func checkBitmap(p []byte) bool {
	for len(p) > 0 {
		if len(p) < 2 || p[1] == 0 || p[1] > 32 || len(p) < 2+int(p[1]) {
			return false
		}
		p = p[2+int(p[1]):]
	}
	return true
}
