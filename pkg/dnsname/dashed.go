package dnsname

import (
	"net/netip"
	"strings"
)

// The longest IPv6 address in dashes, and the shortest ("--").
const (
	maxDashed6 = len("ffff-ffff-ffff-ffff-ffff-ffff-ffff-ffff")
	minDashed6 = len("--")
)

// ParseDashed parses a label that is an address with dashes in place of dots or colons, as in the
// names of Pods: "10-0-0-1", "2001-db8--1". It accepts every form of an address that package netip
// accepts with dots or colons, except zones and IPv4-mapped addresses. It does not allocate for
// IPv4.
func ParseDashed(label string) (netip.Addr, bool) {
	if addr, ok := parseDashed4(label); ok {
		return addr, true
	}
	if len(label) < minDashed6 || len(label) > maxDashed6 || strings.Count(label, "-") < 2 {
		return netip.Addr{}, false
	}
	var buf [maxDashed6]byte
	for i := range len(label) {
		c := label[i]
		switch {
		case c == '-':
			c = ':'
		case !isDigit(c) && (c|0x20)-'a' >= 6:
			return netip.Addr{}, false
		}
		buf[i] = c
	}
	addr, err := netip.ParseAddr(string(buf[:len(label)]))
	return addr, err == nil && !addr.Is4In6()
}

// parseDashed4 reads four decimal octets without leading zeros.
func parseDashed4(label string) (netip.Addr, bool) {
	var ip [4]byte
	part, v, digits := 0, 0, 0
	for i := range len(label) {
		c := label[i]
		switch {
		case isDigit(c) && digits < 3 && (digits == 0 || v > 0):
			v = v*10 + int(c-'0')
			digits++
		case c == '-' && digits > 0 && v <= 255 && part < 3:
			ip[part] = byte(v)
			part, v, digits = part+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 || v > 255 {
		return netip.Addr{}, false
	}
	ip[3] = byte(v)
	return netip.AddrFrom4(ip), true
}

// AppendDashed appends the label by which CoreDNS names an endpoint without a hostname: the
// canonical text of the address with dashes for dots and colons, and a 0 where it would begin
// or end with a dash, which a host label must not (2001:db8:2:: becomes "2001-db8-2--0").
func AppendDashed(dst []byte, addr netip.Addr) []byte {
	at := len(dst)
	dst = addr.AppendTo(dst)
	if len(dst) > at && dst[at] == ':' {
		dst = addr.AppendTo(append(dst[:at], '0'))
	}
	for i := at; i < len(dst); i++ {
		if dst[i] == '.' || dst[i] == ':' {
			dst[i] = '-'
		}
	}
	if len(dst) > at && dst[len(dst)-1] == '-' {
		dst = append(dst, '0')
	}
	return dst
}
