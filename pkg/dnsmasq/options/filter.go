package options

import (
	"net/netip"
	"strings"
)

// setRebindDomain accepts "/a/b/", "/a" and "a".
func setRebindDomain(p *parser, value string, _ bool) error {
	value = strings.TrimLeft(strings.TrimPrefix(value, "/"), " ")
	list := split(value, '/')
	if n := len(list); n > 1 && list[n-1] == "" {
		list = list[:n-1]
	}
	for _, name := range list {
		d, err := parseDomain(unhide(name))
		if err != nil {
			return err
		}
		addNew(p, &p.o.Filter.RebindDomainOK, d)
	}
	return nil
}

// parsePrefix parses address[/bits].
func parsePrefix(value string) ([]netip.Prefix, error) {
	prefix, err := parseNetwork(value, 0, "")
	return []netip.Prefix{prefix}, err
}

func setAlias(p *parser, value string, _ bool) error {
	const wrong = "missing address in alias"
	list := items(unhide(value))
	if len(list) < 2 || len(list) > 3 {
		return bad(wrong, "the option needs an old and a new address")
	}
	firstText, lastText, ranged := cut(list[0], '-')
	if !ranged {
		lastText = firstText
	}
	texts := []string{firstText, lastText, list[1], "255.255.255.255"}
	if len(list) == 3 {
		texts[3] = list[2]
	}
	var addrs [4]netip.Addr
	for i, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil || !addr.Is4() {
			return bad(wrong, "%q is not an IPv4 address", text)
		}
		addrs[i] = addr
	}
	a := Alias{First: addrs[0], Last: addrs[1], To: addrs[2], Mask: addrs[3]}
	low, high := widen(a.First, a.Mask)
	switch from, _ := widen(a.Last, a.Mask); {
	case !ranged:
		a.First, a.Last, a.Masked = low, high, true
	case from != low || a.Last.Less(a.First):
		return bad("invalid alias range", "%s to %s is not a range in one network of the mask %s", a.First, a.Last, a.Mask)
	}
	p.o.Filter.Aliases = append(p.o.Filter.Aliases, a)
	return nil
}

// widen returns the first and last address that are equal to addr in the bits of mask.
func widen(addr, mask netip.Addr) (first, last netip.Addr) {
	a, m := addr.As4(), mask.As4()
	var low, high [4]byte
	for i := range a {
		low[i] = a[i] & m[i]
		high[i] = a[i] | ^m[i]
	}
	return netip.AddrFrom4(low), netip.AddrFrom4(high)
}
