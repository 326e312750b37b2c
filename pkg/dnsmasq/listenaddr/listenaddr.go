// Package listenaddr decides on which addresses dnsmasq's options --interface,
// --except-interface, --listen-address, --bind-interfaces and --bind-dynamic ask
// a server to listen.
//
// Use [Follows] to learn whether the answer changes with the interfaces. If it
// does, call [Now] after every change; otherwise call [Fixed] once.
package listenaddr

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// Follows reports whether interfaces and addresses that come later are served
// too. That is so with --bind-dynamic, and with lists of interfaces or addresses
// unless --bind-interfaces fixes them at the start.
func Follows(l *options.Listen) bool {
	lists := len(l.Interfaces) + len(l.ExceptInterfaces) + len(l.Addresses)
	return l.BindDynamic || lists > 0 && !l.BindInterfaces
}

// BindsLater reports whether an address may have to be bound after the start,
// given that every listed one is bound by then.
func BindsLater(l *options.Listen) bool {
	return l.BindDynamic || Follows(l) && len(l.Interfaces)+len(l.ExceptInterfaces) > 0
}

// Fixed returns the addresses for a configuration that does not follow changes:
// the wildcard addresses, or with --bind-interfaces each address by itself. An
// interface in the options that is not there is an error.
func Fixed(l *options.Listen, list netif.List) ([]netip.Addr, error) {
	if !l.BindInterfaces {
		return netif.Wildcards(), nil
	}
	if missing := Missing(l, list); len(missing) > 0 {
		return nil, fmt.Errorf("unknown interface %s", missing[0])
	}
	addrs := selected(l, list)
	if len(addrs) == 0 {
		return nil, errors.New("no interface is left to listen on")
	}
	return addrs, nil
}

// Now returns the addresses for a configuration that follows changes. They
// include those of --listen-address that no interface has: such an address may
// be bindable all the same (127.0.0.2, or one with a local route), or not yet.
func Now(l *options.Listen, list netif.List) []netip.AddrPort {
	addrs := selected(l, list)
	ports := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		ports[i] = netip.AddrPortFrom(addr, l.Port)
	}
	return ports
}

// selected returns the addresses that the lists select, those of
// --listen-address first. As in dnsmasq a list of addresses without a list of
// interfaces stands alone, a list of interfaces includes lo, and an excluded
// interface wins.
func selected(l *options.Listen, list netif.List) []netip.Addr {
	everything := len(l.Interfaces) == 0 && len(l.Addresses) == 0
	var addrs, excluded []netip.Addr
	for _, i := range list {
		matches := func(pattern string) bool { return netif.Match(pattern, i.Name) }
		if slices.ContainsFunc(l.ExceptInterfaces, matches) {
			excluded = append(excluded, i.Addrs...)
			continue
		}
		wanted := everything || slices.ContainsFunc(l.Interfaces, matches) || len(l.Interfaces) > 0 && i.Name == "lo"
		for _, addr := range i.Addrs {
			if wanted || slices.Contains(l.Addresses, addr.WithZone("")) {
				addrs = append(addrs, addr)
			}
		}
	}
	var listed []netip.Addr
	for _, addr := range l.Addresses {
		switch {
		case slices.Contains(addrs, addr):
			addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return a == addr })
		case slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.WithZone("") == addr }):
			continue // it is there with its zone
		case excludes(excluded, addr):
			continue
		}
		listed = append(listed, addr)
	}
	return append(listed, addrs...)
}

// excludes reports whether an address is one of an excluded interface, or a
// loopback address while lo is excluded.
func excludes(excluded []netip.Addr, addr netip.Addr) bool {
	return slices.ContainsFunc(excluded, func(a netip.Addr) bool {
		return a == addr || a.WithZone("") == addr || a.IsLoopback() && addr.IsLoopback()
	})
}

// Missing returns the patterns of --interface that fit no interface.
func Missing(l *options.Listen, list netif.List) []string {
	var missing []string
	for _, pattern := range l.Interfaces {
		if !slices.ContainsFunc(list, func(i netif.Interface) bool { return netif.Match(pattern, i.Name) }) {
			missing = append(missing, pattern)
		}
	}
	return missing
}
