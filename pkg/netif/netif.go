// Package netif tells which network interfaces and addresses this host has.
//
// Use [All] for those that are there now, and a [Watch] to hear of changes.
package netif

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/internal/netlink"
)

// Interface is a network interface with its addresses.
type Interface struct {
	Name string
	// Addrs are its addresses; link-local IPv6 addresses carry their zone.
	Addrs []netip.Addr
	// Networks are the same addresses, in the same order, with the lengths of
	// their network prefixes and without zones.
	Networks []netip.Prefix
}

// List holds interfaces in the order of their indices.
type List []Interface

// All returns the interfaces that are there now. It asks the kernel once for all
// addresses: a node has an interface for each of its Pods.
func All() (List, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	prefixes, err := addresses()
	if err != nil {
		return nil, err
	}
	all := make(List, 0, len(list))
	for _, i := range list {
		item := Interface{Name: i.Name}
		for _, prefix := range prefixes[i.Index] {
			addr := prefix.Addr()
			if addr.Is6() && addr.IsLinkLocalUnicast() {
				addr = addr.WithZone(i.Name)
			}
			item.Networks = append(item.Networks, prefix)
			item.Addrs = append(item.Addrs, addr)
		}
		all = append(all, item)
	}
	return all, nil
}

// addresses returns the addresses of each interface, by its index (rtnetlink(7)).
func addresses() (map[int][]netip.Prefix, error) {
	data, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil, os.NewSyscallError("netlinkrib", err)
	}
	found := map[int][]netip.Prefix{}
	netlink.Messages(data, func(typ uint16, body []byte) {
		if typ != syscall.RTM_NEWADDR || len(body) < syscall.SizeofIfAddrmsg {
			return
		}
		// The host's own address: on a point-to-point link IFA_ADDRESS is that of the other end.
		var addr netip.Addr
		netlink.Attributes(body[syscall.SizeofIfAddrmsg:], func(typ uint16, value []byte) {
			if typ == syscall.IFA_LOCAL || typ == syscall.IFA_ADDRESS && !addr.IsValid() {
				addr, _ = netip.AddrFromSlice(value)
			}
		})
		// struct ifaddrmsg: family, prefix length, flags, scope, index.
		index := int(binary.NativeEndian.Uint32(body[4:]))
		if addr.IsValid() {
			found[index] = append(found[index], netip.PrefixFrom(addr, int(body[1])))
		}
	})
	return found, nil
}

// Networks returns the networks of the interface with this name, nil when there
// is none.
func (l List) Networks(name string) []netip.Prefix {
	for _, i := range l {
		if i.Name == name {
			return i.Networks
		}
	}
	return nil
}

// NameOf returns the name of the interface that has an address, "" when none
// has it.
func (l List) NameOf(addr netip.Addr) string {
	for _, i := range l {
		if slices.Contains(i.Addrs, addr) {
			return i.Name
		}
	}
	return ""
}

// Match reports whether an interface's name fits a pattern, which is a name or
// a prefix followed by "*".
func Match(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// Wildcards returns the addresses that stand for all, of each family that the
// kernel has.
func Wildcards() []netip.Addr {
	addrs := []netip.Addr{netip.IPv4Unspecified()}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		addrs = append(addrs, netip.IPv6Unspecified())
	}
	return addrs
}
