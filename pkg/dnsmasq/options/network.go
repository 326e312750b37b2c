package options

import (
	"net/netip"
	"strings"
)

// parseNetwork parses address[/bits] with at least the given number of bits. Without bits, the
// network is the single address. wrong is dnsmasq's message for a number of bits out of range, in
// which IP stands for IPv4 or IPv6.
func parseNetwork(text string, least int, wrong string) (netip.Prefix, error) {
	addrText, bitsText, hasBits := cut(unhide(text), '/')
	addr, err := parseAddr(addrText)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, bad("", "%q is not an address or network", text)
	}
	bits := addr.BitLen()
	if hasBits {
		n, err := digits(bitsText)
		switch {
		case err != nil || bitsText == "":
			return netip.Prefix{}, bad("", "%q is not a number of bits", bitsText)
		case n < least || n > bits:
			family := map[int]string{32: "IPv4", 128: "IPv6"}[bits]
			return netip.Prefix{}, bad(strings.Replace(wrong, "IP", family, 1), "the number of bits of an %s network is from %d to %d, not %d", family, least, bits, n)
		}
		bits = n
	}
	return netip.PrefixFrom(addr, bits).Masked(), nil
}

// addrRange is a range of addresses.
type addrRange struct {
	first, last netip.Addr
	network     netip.Prefix // the range, if it is given as a network
}

// parseRange parses the range at the beginning of list: address/bits, or the first and
// optionally the last address. It returns the items after it.
func parseRange(list []string) (r addrRange, rest []string, err error) {
	if text := unhide(list[0]); strings.Contains(text, "/") {
		if r.network, err = parseNetwork(text, 0, "bad prefix length"); err != nil {
			return r, nil, err
		}
		r.first, r.last = r.network.Addr(), lastAddr(r.network)
		return r, list[1:], nil
	}
	for i, text := range list[:min(len(list), 2)] {
		addr, err := netip.ParseAddr(unhide(text))
		switch {
		case err != nil || addr.Zone() != "":
			return r, nil, bad("", "%q is not an address or network", text)
		case i == 0:
			r.first = addr
		case addr.BitLen() != r.first.BitLen() || addr.Less(r.first):
			return r, nil, bad("", "the range from %s to %s is empty", r.first, addr)
		}
		r.last = addr
	}
	return r, list[min(len(list), 2):], nil
}

// lastAddr returns the last address of a network.
func lastAddr(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Masked().Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}
