package options

import (
	"net/netip"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// InterfaceName is one --interface-name or --dynamic-host: a name of the addresses of an
// interface, or of addresses on its networks. It is comparable.
type InterfaceName struct {
	Name      dnsname.Name // the owner name of the addresses
	Interface string       // the interface
	// V4 and V6 say which address families the name has.
	V4, V6 bool
	// Dynamic is true for --dynamic-host: the network part of the addresses is that of the
	// interface, the host part that of Host4 and Host6.
	Dynamic bool
	// Host4 and Host6 are valid if Dynamic is true, and V4 or V6 respectively.
	Host4, Host6 netip.Addr
}

func setInterfaceName(p *parser, value string, _ bool) error {
	const wrong = "bad interface name"
	list := items(value)
	if len(list) != 2 {
		return bad(wrong, "the option needs a name and an interface")
	}
	name, err := nameItem(list[0])
	if err != nil {
		return bad(wrong, "%v", err)
	}
	r := InterfaceName{Name: name, V4: true, V6: true}
	device, family, hasFamily := cut(unhide(list[1]), '/')
	if hasFamily {
		r.V4, r.V6 = family == "4", family == "6"
		if !r.V4 && !r.V6 {
			return bad("", "/%s is not valid; use /4 or /6", family)
		}
	}
	if !isInterface(device) {
		return bad(wrong, "%q is not the name of a network interface", device)
	}
	r.Interface = device
	addNew(p, &p.o.Local.InterfaceNames, r)
	return nil
}

func setDynamicHost(p *parser, value string, _ bool) error {
	const wrong = "bad dynamic host"
	list := items(value)
	r := InterfaceName{Dynamic: true}
	rest := list[1:]
	for ; len(rest) > 0; rest = rest[1:] {
		addr, err := netip.ParseAddr(unhide(rest[0]))
		switch {
		case err != nil:
		case addr.Zone() != "":
			return bad(wrong, "the address %q must not have a zone", rest[0])
		case addr.Is4() && !r.V4:
			r.V4, r.Host4 = true, addr
			continue
		case addr.Is6() && !r.V6:
			r.V6, r.Host6 = true, addr
			continue
		default:
			return bad(wrong, "%q is the second address of its address family", rest[0])
		}
		break
	}
	if len(rest) == 0 || !r.V4 && !r.V6 {
		return bad("missing address in dynamic host", "the option needs a name, an address and an interface")
	}
	name, err := nameItem(list[0])
	if err != nil {
		return bad(wrong, "%v", err)
	}
	r.Name, r.Interface = name, unhide(rest[0])
	if len(rest) > 1 || !isInterface(r.Interface) {
		return bad(wrong, "%q is not the name of a network interface", strings.Join(rest, ","))
	}
	addNew(p, &p.o.Local.InterfaceNames, r)
	return nil
}

// isInterface reports whether name can be that of an interface in Linux (at most IFNAMSIZ
// octets with the final zero).
func isInterface(name string) bool {
	return name != "" && len(name) <= 15 && name != "." && name != ".." && !strings.ContainsAny(name, "/ \t")
}

// Addrs returns the addresses of the name if the interface has the addresses in networks,
// each with the bits of its network. The order is the same. Link-local IPv6 addresses are
// left out.
func (r *InterfaceName) Addrs(networks []netip.Prefix) []netip.Addr {
	var list uniq[netip.Addr]
	for _, network := range networks {
		addr, bits := network.Addr().Unmap(), network.Bits()
		if addr.Is6() && addr.IsLinkLocalUnicast() || addr.Is4() && !r.V4 || addr.Is6() && !r.V6 {
			continue
		}
		switch {
		case !r.Dynamic:
		case addr.Is4():
			addr = combine(addr, r.Host4, bits)
		default:
			addr = combine(addr, r.Host6, bits)
		}
		list.addItem(addr)
	}
	return list.list
}

// combine returns the address with the first bits of network and the other bits of host.
func combine(network, host netip.Addr, bits int) netip.Addr {
	a, b := network.AsSlice(), host.AsSlice()
	for i := range a {
		switch {
		case 8*i >= bits:
			a[i] = b[i]
		case 8*(i+1) > bits:
			mask := byte(0xff) >> (bits % 8)
			a[i] = a[i]&^mask | b[i]&mask
		}
	}
	addr, _ := netip.AddrFromSlice(a)
	return addr
}
