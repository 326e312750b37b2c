package dnsname

import (
	"net/netip"
	"strconv"
)

// The zones of reverse names: RFC 1035 §3.5 for IPv4, RFC 3596 §2.5 for IPv6.
const (
	InAddrArpa Name = "\x07in-addr\x04arpa\x00"
	IP6Arpa    Name = "\x03ip6\x04arpa\x00"
)

const hexDigits = "0123456789abcdef"

// IsUnicast reports whether an address can be that of a server: it is not unspecified, multicast or
// the broadcast address of IPv4.
func IsUnicast(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// ReverseName returns the owner name of the PTR records of a, without an IPv6 zone. An IPv4-mapped
// IPv6 address counts as IPv6. If a is not valid, the result is the zero Name.
func ReverseName(a netip.Addr) Name {
	switch {
	case a.Is4():
		ip := a.As4()
		b := make([]byte, 0, 4*4+len(InAddrArpa))
		for i := 3; i >= 0; i-- {
			at := len(b)
			b = append(b, 0)
			b = strconv.AppendUint(b, uint64(ip[i]), 10)
			b[at] = byte(len(b) - at - 1)
		}
		return Name(append(b, InAddrArpa...))
	case a.Is6():
		ip := a.As16()
		b := make([]byte, 0, 32*2+len(IP6Arpa))
		for i := 15; i >= 0; i-- {
			b = append(b, 1, hexDigits[ip[i]&15], 1, hexDigits[ip[i]>>4])
		}
		return Name(append(b, IP6Arpa...))
	}
	return ""
}

// ReverseAddr is the inverse of ReverseName for a canonical wire name. It returns false for
// names that ReverseName does not return: a part of an address, an octet with a leading zero or
// above 255, more or fewer than 32 nibbles. It does not allocate.
func ReverseAddr(wire []byte) (netip.Addr, bool) {
	if at, ok := CutZone(wire, InAddrArpa); ok {
		return reverseAddr4(wire[:at])
	}
	if at, ok := CutZone(wire, IP6Arpa); ok {
		return reverseAddr6(wire[:at])
	}
	return netip.Addr{}, false
}

func reverseAddr4(labels []byte) (netip.Addr, bool) {
	var ip [4]byte
	for i := 3; i >= 0; i-- {
		if len(labels) == 0 {
			return netip.Addr{}, false
		}
		n := int(labels[0])
		v, ok := decimalOctet(labels[1 : 1+n])
		if !ok {
			return netip.Addr{}, false
		}
		ip[i] = v
		labels = labels[1+n:]
	}
	return netip.AddrFrom4(ip), len(labels) == 0
}

// decimalOctet parses a number from 0 to 255 without leading zeros.
func decimalOctet(s []byte) (byte, bool) {
	if len(s) == 0 || len(s) > 3 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	v := 0
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return byte(v), v <= 255
}

func reverseAddr6(labels []byte) (netip.Addr, bool) {
	var ip [16]byte
	if len(labels) != 64 {
		return netip.Addr{}, false
	}
	for i := range 32 {
		v, ok := HexNibble(labels[2*i+1])
		if labels[2*i] != 1 || !ok {
			return netip.Addr{}, false
		}
		ip[15-i/2] |= v << (4 * (i & 1))
	}
	return netip.AddrFrom16(ip), true
}

// HexNibble parses one lower-case hexadecimal digit.
func HexNibble(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c-'a' < 6:
		return c - 'a' + 10, true
	}
	return 0, false
}
