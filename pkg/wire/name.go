package wire

import "github.com/kube-dns/kube-dns/pkg/dnsname"

// maxPointers is the largest number of pointers in one name. A name of 255 octets has at
// most 127 labels, so a normal one never needs more.
const maxPointers = 126

const pointerMark = 0xc0

// NameEnd returns the offset of the octet after the name at off: after its root octet, or
// after its first compression pointer. It checks the whole name, including the parts that
// pointers lead to: label types, the limit of 255 octets, and that pointers lead only
// backwards and not into the header. The part that a pointer leads to must end before the
// part with the pointer begins (a prior occurrence, RFC 1035 §4.1.4), so no name depends on
// octets after it. ok is false if the name is invalid.
func NameEnd(msg []byte, off int) (end int, ok bool) {
	end, _, ok = nameEnd(msg, off)
	return end, ok
}

// nameEnd is NameEnd, but also returns the number of labels and pointers after the name's
// first pointer.
func nameEnd(msg []byte, off int) (end, steps int, ok bool) {
	size, pointers, start, limit := 0, 0, off, len(msg)
	end = -1
	for labels := 0; off < limit; labels++ {
		c := int(msg[off])
		switch c & pointerMark {
		case 0:
			size += c + 1
			if size > MaxName {
				return 0, 0, false
			}
			off += c + 1
			if c == 0 {
				if end < 0 {
					return off, 0, true
				}
				return end, labels - steps, true
			}
		case pointerMark:
			if off+1 >= limit {
				return 0, 0, false
			}
			if end < 0 {
				end, steps = off+2, labels
			}
			to := c&^pointerMark<<8 | int(msg[off+1])
			pointers++
			if to >= start || to < HeaderLen || pointers > maxPointers {
				return 0, 0, false
			}
			off, start, limit = to, to, start
		default: // nobody uses the label types 01 and 10, RFC 6891 §5
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// pointerAt returns the target of the name at off if it is only a pointer, and -1
// otherwise. NameEnd must have accepted the name.
func pointerAt(msg []byte, off int) int {
	if c := int(msg[off]); c&pointerMark == pointerMark {
		return c&^pointerMark<<8 | int(msg[off+1])
	}
	return -1
}

// appendKnownName is AppendName for a name that NameEnd has accepted.
func appendKnownName(dst, msg []byte, off int) []byte {
	for start := off; ; {
		c := int(msg[off])
		switch {
		case c&pointerMark != 0:
			dst = append(dst, msg[start:off]...)
			off = c&^pointerMark<<8 | int(msg[off+1])
			start = off
		case c == 0:
			return append(dst, msg[start:off+1]...)
		default:
			off += c + 1
		}
	}
}

// AppendName appends the name at off to dst in uncompressed form, in the spelling of the
// message. end is the same as that of NameEnd. If ok is false, nothing was appended.
func AppendName(dst, msg []byte, off int) (out []byte, end int, ok bool) {
	end, ok = NameEnd(msg, off)
	if !ok {
		return dst, 0, false
	}
	return appendKnownName(dst, msg, off), end, true
}

// AppendCanonicalName is AppendName with the letters in lower case.
func AppendCanonicalName(dst, msg []byte, off int) (out []byte, end int, ok bool) {
	n := len(dst)
	dst, end, ok = AppendName(dst, msg, off)
	dnsname.Lower(dst[n:])
	return dst, end, ok
}

// EqualNames reports whether two uncompressed names are equal according to RFC 4343 §3:
// the case of ASCII letters does not matter.
func EqualNames(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	if string(a) == string(b) {
		return true
	}
	for i, c := range a {
		if c != b[i] && dnsname.LowerOctet(c) != dnsname.LowerOctet(b[i]) {
			return false
		}
	}
	return true
}

// EqualNameAt reports whether the name at off, compressed or not, equals name, which is
// uncompressed and valid. Case does not matter. NameEnd should have accepted the name at
// off; an invalid one is not equal to any name.
func EqualNameAt(msg []byte, off int, name []byte) bool {
	return equalNameAt(msg, off, name, false)
}

// equalNameAt is EqualNameAt, but the case of letters matters if exact is true.
func equalNameAt(msg []byte, off int, name []byte, exact bool) bool {
	for i, pointers := 0, 0; off < len(msg); {
		c := int(msg[off])
		if c&pointerMark == pointerMark {
			pointers++
			if off+1 >= len(msg) || pointers > maxPointers {
				return false
			}
			off = c&^pointerMark<<8 | int(msg[off+1])
			continue
		}
		n := c + 1
		// Most suffixes are in the same case, with no pointer in them.
		if rest := len(name) - i; rest > 0 && off+rest <= len(msg) && string(msg[off:off+rest]) == string(name[i:]) {
			return true
		}
		if i+n > len(name) || off+n > len(msg) {
			return false
		}
		if a, b := msg[off:off+n], name[i:i+n]; string(a) != string(b) && (exact || !EqualNames(a, b)) {
			return false
		}
		i += n
		if c == 0 {
			return i == len(name)
		}
		off += n
	}
	return false
}

// HasSuffix reports whether zone is name itself or an ancestor of it. Both are uncompressed
// and valid; case does not matter.
func HasSuffix(name, zone []byte) bool {
	for len(name) > len(zone) {
		n := int(name[0]) + 1
		if n == 1 || n > len(name) {
			return false
		}
		name = name[n:]
	}
	return EqualNames(name, zone)
}
