// Package dnsname defines domain names in the form that the hot paths use: uncompressed,
// lower-cased wire form, terminated by the root label ("\x03web\x07default\x00", RFC 1035 §3.1).
// Two such names are equal exactly if their bytes are, so they can be map keys, and a query needs
// no parsing.
//
// Use [Parse] to make a [Name] from text, [AppendLower] to make one from a message, and
// [ReverseName] and [ReverseAddr] for the names of PTR records.
//
// Functions that take wire bytes never panic, whatever the bytes are, and keep no reference to
// them.
package dnsname

import "encoding/binary"

// Limits of RFC 1035 §2.3.4, in octets of wire form.
const (
	MaxName   = 255 // the whole name with its final zero octet
	MaxLabel  = 63  // one label without its length octet
	MaxLabels = 127 // labels of a name, the root not counted
)

// Name is a canonical domain name: lower-cased (ASCII only, RFC 4343) wire form with the final
// zero octet. The zero value "" is not a name; "\x00" is the root. Names made by this package are
// always valid. Code that converts other bytes to a Name must make sure that they are.
type Name string

// Root is the empty sequence of labels.
const Root Name = "\x00"

// Labels returns the number of labels, the root not counted. It is 0 for the
// root and for the zero Name.
func (n Name) Labels() int {
	count := 0
	for i := 0; i < len(n) && n[i] != 0; i += int(n[i]) + 1 {
		count++
	}
	return count
}

// HasSuffix reports whether n is zone or is below it. It compares whole labels. The zero Name is
// below no name, and no name is below it.
func (n Name) HasSuffix(zone Name) bool {
	_, ok := CutZone([]byte(n), zone)
	return ok
}

// Parent returns n without its leftmost label. The parent of the root and of
// the zero Name is the name itself.
func (n Name) Parent() Name {
	if n == "" || n[0] == 0 {
		return n
	}
	return n[int(n[0])+1:]
}

// Valid reports whether wire is exactly one complete uncompressed name within
// the limits of RFC 1035 §2.3.4, in upper or lower case.
func Valid(wire []byte) bool {
	var buf [MaxLabels]uint8
	return Offsets(buf[:], wire) != nil
}

// AppendLower appends wire to dst with the ASCII letters A to Z, and nothing else, in lower case
// (RFC 4343 §3), and returns the extended slice. A valid name becomes a canonical one. dst may be
// wire[:0].
func AppendLower(dst, wire []byte) []byte {
	at := len(dst)
	dst = append(dst, wire...)
	lowerInto(dst[at:], wire)
	return dst
}

// Lower converts the ASCII letters of wire to lower case in place.
func Lower(wire []byte) { lowerInto(wire, wire) }

// lowerInto writes wire in lower case to dst, which has the same length and may be wire itself,
// eight octets at a time. Length octets are at most 63, which is below 'A', so they do not change
// and wire needs no parsing. Reading what was just copied to dst would make the processor wait.
func lowerInto(dst, wire []byte) {
	dst = dst[:len(wire)]
	i := 0
	for ; i+8 <= len(wire); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], LowerWord(binary.LittleEndian.Uint64(wire[i:])))
	}
	switch {
	case i == len(wire):
	case i >= 8: // convert the last eight again, which does no harm
		i = len(wire) - 8
		binary.LittleEndian.PutUint64(dst[i:], LowerWord(binary.LittleEndian.Uint64(wire[i:])))
	default:
		for i, c := range wire {
			dst[i] = LowerOctet(c)
		}
	}
}

// LowerWord converts the ASCII letters among eight octets to lower case. In each octet, the seven
// low bits plus 0x3f set bit 7 for 'A' and above, and plus 0x25 for octets above 'Z'. An octet with
// its own bit 7 set is not a letter.
func LowerWord(x uint64) uint64 {
	const ones = 0x0101010101010101
	low := x & (0x7f * ones)
	fromA := low + 0x3f*ones
	afterZ := low + 0x25*ones
	upper := (fromA ^ afterZ) &^ x & (0x80 * ones)
	return x | upper>>2
}

// LowerOctet converts one octet to lower case if it is an ASCII letter.
func LowerOctet(c byte) byte {
	if c-'A' < 26 {
		return c + ('a' - 'A')
	}
	return c
}

// Offsets appends to dst[:0] the offset of each label's length octet in wire, leftmost label
// first, and returns the slice. Read backwards, it leads from the top of the name down. Offsets
// returns nil if wire is not Valid. It does not allocate if dst has a capacity of MaxLabels.
func Offsets(dst []uint8, wire []byte) []uint8 {
	if len(wire) > MaxName {
		return nil
	}
	dst = dst[:0]
	i := 0
	for i < len(wire) {
		n := int(wire[i])
		if n == 0 {
			if i != len(wire)-1 {
				return nil
			}
			return dst
		}
		if n > MaxLabel {
			return nil
		}
		dst = append(dst, uint8(i))
		i += n + 1
	}
	return nil
}

// CutZone returns the offset at which zone begins in the canonical wire name: 0 if the name is zone
// itself, more if it is below zone. It returns false if the name is neither, or is not Valid up to
// zone.
func CutZone(wire []byte, zone Name) (int, bool) {
	at := len(wire) - len(zone)
	if zone == "" || at < 0 || len(wire) > MaxName || string(wire[at:]) != string(zone) {
		return 0, false
	}
	i := 0
	for i < at {
		n := int(wire[i])
		if n == 0 || n > MaxLabel {
			return 0, false
		}
		i += n + 1
	}
	return at, i == at
}
