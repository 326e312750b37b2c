package filter

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// reversePrefix reads a reverse name, which may be that of a network.
func reversePrefix(name []byte) (netip.Prefix, bool) {
	if addr, ok := dnsname.ReverseAddr(name); ok {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	at, ok := dnsname.CutZone(name, dnsname.InAddrArpa)
	if !ok || at == 0 {
		return netip.Prefix{}, false
	}
	// "168.192": complete it with zeros, so that ReverseAddr reads it.
	labels := dnsname.Name(string(name[:at]) + "\x00").Labels()
	if labels == 0 || labels > 3 {
		return netip.Prefix{}, false
	}
	full := strings.Repeat("\x010", 4-labels) + string(name)
	addr, ok := dnsname.ReverseAddr([]byte(full))
	return netip.PrefixFrom(addr, 8*labels), ok
}

// privateNetworks are those that --bogus-priv and --stop-dns-rebind mean.
func privateNetworks() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "255.255.255.255/32",
		"::/128", "::1/128", "fe80::/10", "fec0::/10", "fd00::/8", "2001:db8::/32",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// addressOf returns the address in an A or AAAA record.
func addressOf(msg []byte, rec *wire.Record) (netip.Addr, bool) {
	if rec.Class != wire.ClassIN {
		return netip.Addr{}, false
	}
	switch rec.Type {
	case wire.TypeA:
		return netip.AddrFrom4([4]byte(msg[rec.Data:rec.End])), true
	case wire.TypeAAAA:
		return netip.AddrFrom16([16]byte(msg[rec.Data:rec.End])).Unmap(), true
	}
	return netip.Addr{}, false
}

// isLocalhost is what --rebind-localhost-ok lets through.
func isLocalhost(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || addr.Is4() && addr.As4()[0] == 0
}
