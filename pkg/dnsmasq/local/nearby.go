package local

import (
	"encoding/binary"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// nearby maps this host's IPv4 addresses to their networks
// (--localise-queries).
func nearby(networks []netip.Prefix) map[netip.Addr]netip.Prefix {
	var near map[netip.Addr]netip.Prefix
	for _, n := range networks {
		if addr := n.Addr().Unmap(); addr.Is4() {
			if near == nil {
				near = map[netip.Addr]netip.Prefix{}
			}
			near[addr] = n.Masked()
		}
	}
	return near
}

// only returns the network to which a name's IPv4 addresses are limited for a query that came to
// the address at: the network of at, if it contains one of them. The zero value limits nothing.
func (l *Data) only(data *owner, at netip.Addr) netip.Prefix {
	if l.near == nil {
		return netip.Prefix{}
	}
	network, ok := l.near[at.Unmap()]
	if !ok {
		return netip.Prefix{}
	}
	for i := range data.len() {
		if addr, _ := data.at(i); network.Contains(addr) {
			return network
		}
	}
	return netip.Prefix{}
}

// hidden reports whether only excludes an address.
func hidden(only netip.Prefix, addr netip.Addr) bool {
	return only.IsValid() && addr.Is4() && !only.Contains(addr)
}

// hostMX appends the MX record of a host that has none of its own. It names the host itself
// (--selfmx) or the mail server of all hosts (--localmx).
func (l *Data) hostMX(b *wire.Builder, data *owner, name, shown []byte) (found, whole bool) {
	if !data.host() || !l.selfMX && l.mailTarget == "" {
		return false, true
	}
	records := data.records()
	for i := range records {
		if records[i].Type == wire.TypeMX {
			return false, true
		}
	}
	var buf [2 + wire.MaxName]byte
	rdata := binary.BigEndian.AppendUint16(buf[:0], 1)
	if l.selfMX {
		rdata = append(rdata, name...)
	} else {
		rdata = append(rdata, l.mailTarget...)
	}
	return true, b.Record(shown, wire.TypeMX, l.ttl, rdata)
}

// ifaceName returns the name that --interface-name or --dynamic-host gives the address of a
// reverse name. It takes precedence over PTR records.
func (l *Data) ifaceName(owner []byte) *reverseName {
	if !l.dynamic {
		return nil
	}
	addr, ok := dnsname.ReverseAddr(owner)
	if !ok {
		return nil
	}
	if n := l.reverse[addr.Unmap()]; n != nil && n.dynamic {
		return n
	}
	return nil
}
