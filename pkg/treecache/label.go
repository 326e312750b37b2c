package treecache

import (
	"net/netip"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

const hexDigits = "0123456789abcdef"

// The fields of SkyDNS's records of the cluster besides host and port. They are
// part of the hashed text, so they never change, whatever the TTL of the records
// is.
const (
	hashTTL      = 30
	hashPriority = 10
	hashWeight   = 10
)

// hashLabel returns the number that names a host without hostname: the 32-bit
// FNV-1a hash of SkyDNS's record for the address, printed as Go prints a pointer
// to that struct with %v:
//
//	&{10.96.0.10 0 10 10  false 30 0  }
//
// The fields are host, port, priority, weight, text, mail, ttl, targetstrip,
// group and key; the spaces around empty fields remain. The label spells the
// number in hexadecimal without padding, and each of those digits as the two
// hexadecimal digits of its ASCII code. All versions of kube-dns do this, and
// clients may have stored such names.
func hashLabel(addr netip.Addr) uint32 {
	var buf [96]byte
	b := append(buf[:0], "&{"...)
	b = addr.AppendTo(b)
	b = append(b, " 0 "...)
	b = strconv.AppendUint(b, hashPriority, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, hashWeight, 10)
	b = append(b, "  false "...)
	b = strconv.AppendUint(b, hashTTL, 10)
	b = append(b, " 0  }"...)
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// HashLabel returns the label of a host without hostname, as text.
func HashLabel(addr netip.Addr) string {
	var buf [MaxHashLabel]byte
	return string(appendHashLabel(buf[:0], hashLabel(addr.Unmap()))[1:])
}

// appendHashLabel appends the label that spells h, its length octet first.
func appendHashLabel(dst []byte, h uint32) []byte {
	at := len(dst)
	dst = append(dst, 0)
	shift := 28
	for shift > 0 && h>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		c := hexDigits[h>>shift&15]
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// parseHashLabel is the inverse of appendHashLabel for a label without its
// length octet, exact forms only.
func parseHashLabel(label string) (uint32, bool) {
	n := len(label)
	if n == 0 || n >= MaxHashLabel || n%2 != 0 {
		return 0, false
	}
	var h uint32
	for i := 0; i < n; i += 2 {
		hi, ok1 := dnsname.HexNibble(label[i])
		lo, ok2 := dnsname.HexNibble(label[i+1])
		digit, ok3 := dnsname.HexNibble(hi<<4 | lo)
		if !ok1 || !ok2 || !ok3 || (i == 0 && digit == 0 && n > 2) {
			return 0, false
		}
		h = h<<4 | uint32(digit)
	}
	return h, true
}
