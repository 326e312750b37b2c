// Package netif tells which network interfaces and addresses this host has.
//
// Use [All] for those that are there now, and a [Watch] to hear of changes.
package netif

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
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

// All returns the interfaces that are there now.
func All() (List, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all List
	for _, i := range list {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		item := Interface{Name: i.Name}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			addr := prefix.Addr().Unmap()
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
