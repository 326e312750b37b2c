// Package dnsname holds domain names in the one form that the hot paths use:
// uncompressed, lower-cased wire form, terminated by the root label
// ("\x03web\x07default\x00", RFC 1035 §3.1). Two such names are equal exactly
// when their bytes are, so they are map keys and need no parsing on a query.
//
// Functions that take wire bytes never panic, whatever the bytes are, and keep
// no reference to them.
package dnsname

import (
	"encoding/binary"
	"strings"
)

// Limits of RFC 1035 §2.3.4, in octets of wire form.
const (
	MaxName   = 255 // the whole name with its final zero octet
	MaxLabel  = 63  // one label without its length octet
	MaxLabels = 127 // labels of a name, the root not counted
)

// Name is a canonical domain name: lower-cased (ASCII only, RFC 4343) wire form
// with the final zero octet. The zero value "" is not a name; "\x00" is the
// root. Names made by this package are always valid; a conversion from other
// bytes is the caller's promise that they are.
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

// HasSuffix reports whether n is zone or lies below it, compared by whole
// labels. The zero Name is below nothing and has nothing below it.
func (n Name) HasSuffix(zone Name) bool {
	if zone == "" || !strings.HasSuffix(string(n), string(zone)) {
		return false
	}
	at := len(n) - len(zone)
	i := 0
	for i < at {
		i += int(n[i]) + 1
	}
	return i == at
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
	if len(wire) > MaxName {
		return false
	}
	i := 0
	for i < len(wire) {
		n := int(wire[i])
		if n == 0 {
			return i == len(wire)-1
		}
		if n > MaxLabel {
			return false
		}
		i += n + 1
	}
	return false
}

// AppendLower appends wire to dst with the ASCII letters A to Z lower-cased,
// and returns the extended slice. A valid name gives a canonical one. Length
// octets are at most 63, below 'A', so they pass through unchanged and the
// bytes need no parsing.
func AppendLower(dst, wire []byte) []byte {
	at := len(dst)
	dst = append(dst, wire...)
	b := dst[at:]
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, lower8(binary.LittleEndian.Uint64(b)))
	}
	for i, c := range b {
		if c-'A' < 26 {
			b[i] = c | 0x20
		}
	}
	return dst
}

// lower8 lower-cases the ASCII letters among eight octets at once. In each
// octet the seven low bits plus 0x3f reach bit 7 from 'A' on, and plus 0x25
// from the octet after 'Z' on; an octet whose own bit 7 is set is no letter.
func lower8(x uint64) uint64 {
	const ones = 0x0101010101010101
	low := x & (0x7f * ones)
	fromA := low + 0x3f*ones
	afterZ := low + 0x25*ones
	upper := (fromA ^ afterZ) &^ x & (0x80 * ones)
	return x | upper>>2
}

// Offsets appends to dst[:0] the offset of each label's length octet in wire,
// leftmost label first, and returns the slice; walking it backwards goes from
// the top of the name down. Offsets returns nil when wire is not Valid. With a
// dst of capacity MaxLabels it does not allocate.
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

// CutZone returns the offset at which zone begins in the canonical wire name:
// 0 when the name is zone itself, more when it lies below it. It reports false
// when the name is neither, or not Valid up to the zone.
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
