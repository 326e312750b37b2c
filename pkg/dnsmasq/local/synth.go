package local

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// synthName computes the name of an address (--synth-domain).
func (l *Data) synthName(addr netip.Addr) (dnsname.Name, bool) {
	for i := range l.synth {
		s := &l.synth[i]
		if addr.BitLen() != s.First.BitLen() || addr.Less(s.First) || s.Last.Less(addr) {
			continue
		}
		label := s.Prefix
		if s.Indexed {
			label += strconv.FormatUint(distance(s.First, addr), 10)
		} else {
			label += strings.Map(dashed, addr.String())
		}
		if name, err := dnsname.Parse(label + "." + s.Domain.String()); err == nil {
			return name, true
		}
	}
	return "", false
}

func dashed(r rune) rune {
	if r == '.' || r == ':' {
		return '-'
	}
	return r
}

// synthAddr is the inverse of synthName.
func (l *Data) synthAddr(name []byte) (netip.Addr, bool) {
	for i := range l.synth {
		s := &l.synth[i]
		at, ok := dnsname.CutZone(name, s.Domain)
		if !ok || at == 0 || at != int(name[0])+1 {
			continue
		}
		rest, ok := strings.CutPrefix(string(name[1:at]), s.Prefix)
		if !ok {
			continue
		}
		var addr netip.Addr
		if s.Indexed {
			index, err := strconv.ParseUint(rest, 10, 64)
			if err != nil || index > distance(s.First, s.Last) {
				continue
			}
			addr = forward(s.First, index)
		} else if addr, ok = dnsname.ParseDashed(rest); !ok {
			continue
		}
		if addr.BitLen() == s.First.BitLen() && !addr.Less(s.First) && !s.Last.Less(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// distance returns b - a for addresses that differ only in the lower 64 bits.
func distance(a, b netip.Addr) uint64 {
	x, y := a.As16(), b.As16()
	return binary.BigEndian.Uint64(y[8:]) - binary.BigEndian.Uint64(x[8:])
}

// forward returns the address that is n after a. Only the lower 64 bits change.
func forward(a netip.Addr, n uint64) netip.Addr {
	x := a.As16()
	binary.BigEndian.PutUint64(x[8:], binary.BigEndian.Uint64(x[8:])+n)
	to := netip.AddrFrom16(x)
	if a.Is4() {
		return to.Unmap()
	}
	return to
}
