package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

// iface is a network interface with its addresses.
type iface struct {
	name     string
	addrs    []netip.Addr
	networks []netip.Prefix // of the addresses, with the address in each
}

// systemInterfaces lists the interfaces that are there now. Link-local IPv6
// addresses carry their zone.
func systemInterfaces() ([]iface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []iface
	for _, i := range list {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		item := iface{name: i.Name}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			item.networks = append(item.networks, prefix)
			addr := prefix.Addr().Unmap()
			if addr.Is6() && addr.IsLinkLocalUnicast() {
				addr = addr.WithZone(i.Name)
			}
			item.addrs = append(item.addrs, addr)
		}
		all = append(all, item)
	}
	return all, nil
}

// listenAddrs returns the addresses that the options ask for. Without any
// restriction these are the wildcards, else each address by itself.
func listenAddrs(l *options.Listen, interfaces func() ([]iface, error)) ([]netip.Addr, error) {
	if len(l.Interfaces) == 0 && len(l.ExceptInterfaces) == 0 && !l.BindInterfaces {
		if len(l.Addresses) > 0 {
			return l.Addresses, nil
		}
		return wildcards(), nil
	}
	all, err := interfaces()
	if err != nil {
		return nil, fmt.Errorf("failed to find list of interfaces: %w", err)
	}
	for _, pattern := range l.Interfaces {
		if !slices.ContainsFunc(all, func(i iface) bool { return matchInterface(pattern, i.name) }) {
			return nil, fmt.Errorf("unknown interface %s", pattern)
		}
	}
	// Like dnsmasq: a list of addresses without a list of interfaces stands
	// alone; a list of interfaces includes lo.
	everything := len(l.Interfaces) == 0 && len(l.Addresses) == 0
	addrs := slices.Clone(l.Addresses)
	for _, i := range all {
		matches := func(pattern string) bool { return matchInterface(pattern, i.name) }
		wanted := everything || slices.ContainsFunc(l.Interfaces, matches) ||
			len(l.Interfaces) > 0 && i.name == "lo"
		excepted := slices.ContainsFunc(l.ExceptInterfaces, matches)
		for _, a := range i.addrs {
			at := slices.Index(addrs, a)
			switch {
			case excepted && at >= 0:
				addrs = slices.Delete(addrs, at, at+1)
			case wanted && !excepted && at < 0:
				addrs = append(addrs, a)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("no interface is left to listen on")
	}
	return addrs, nil
}

// matchInterface compares a name with a pattern that may end with "*".
func matchInterface(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// wildcards returns the addresses that stand for all, of each family that the
// kernel has.
func wildcards() []netip.Addr {
	addrs := []netip.Addr{netip.IPv4Unspecified()}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		addrs = append(addrs, netip.IPv6Unspecified())
	}
	return addrs
}
