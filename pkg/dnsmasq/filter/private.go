package filter

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// reverseAddr parses a reverse name as dnsmasq does. The name may be that of a part of an
// address; the missing octets or nibbles are zero. For an octet that is too large, the lower
// eight bits count; if there are too many labels, the last ones count.
func reverseAddr(name []byte) (addr netip.Addr, ok bool) {
	if at, below := dnsname.CutZone(name, dnsname.InAddrArpa); below && at > 0 {
		var octets [4]byte
		for rest := name[:at]; len(rest) > 0; rest = rest[1+int(rest[0]):] {
			n, err := strconv.ParseUint(string(rest[1:1+int(rest[0])]), 10, 32)
			if err != nil {
				return netip.Addr{}, false
			}
			octets[3], octets[2], octets[1], octets[0] = octets[2], octets[1], octets[0], byte(n)
		}
		return netip.AddrFrom4(octets), true
	}
	at, below := dnsname.CutZone(name, dnsname.IP6Arpa)
	if !below || at == 0 {
		return netip.Addr{}, false
	}
	var high, low uint64
	for rest := name[:at]; len(rest) > 0; rest = rest[2:] {
		n, err := strconv.ParseUint(string(rest[1:1+int(rest[0])]), 16, 4)
		if err != nil || rest[0] != 1 {
			return netip.Addr{}, false
		}
		high, low = n<<60|high>>4, high<<60|low>>4
	}
	var octets [16]byte
	binary.BigEndian.PutUint64(octets[:8], high)
	binary.BigEndian.PutUint64(octets[8:], low)
	return netip.AddrFrom16(octets).Unmap(), true
}

// privateNetworks returns the networks to which --bogus-priv and --stop-dns-rebind apply.
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

// Keys of addresses in HTTPS and SVCB records, RFC 9460 §14.3.2.
const (
	keyIPv4Hint = 4
	keyIPv6Hint = 6
)

// hints calls fn for each address in an HTTPS or SVCB record until fn returns true, and reports
// whether it did.
func hints(msg []byte, rec *wire.Record, fn func(netip.Addr) bool) bool {
	if rec.Class != wire.ClassIN || rec.Type != wire.TypeHTTPS && rec.Type != wire.TypeSVCB || rec.Data+2 > rec.End {
		return false
	}
	at, ok := wire.NameEnd(msg[:rec.End], rec.Data+2) // after the priority
	for ok && at+4 <= rec.End {
		key, size := binary.BigEndian.Uint16(msg[at:]), int(binary.BigEndian.Uint16(msg[at+2:]))
		at += 4
		if at+size > rec.End {
			return false
		}
		octets := 0
		switch key {
		case keyIPv4Hint:
			octets = 4
		case keyIPv6Hint:
			octets = 16
		}
		for value := msg[at : at+size]; octets > 0 && len(value) >= octets; value = value[octets:] {
			if addr, _ := netip.AddrFromSlice(value[:octets]); fn(addr.Unmap()) {
				return true
			}
		}
		at += size
	}
	return false
}

// isLocalhost reports whether --rebind-localhost-ok allows an address.
func isLocalhost(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || addr.Is4() && addr.As4()[0] == 0
}
