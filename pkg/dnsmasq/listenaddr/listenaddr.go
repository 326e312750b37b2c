// Package listenaddr determines the addresses to listen on from dnsmasq's options
// --interface, --except-interface, --listen-address, --bind-interfaces and --bind-dynamic.
//
// Use [Follows] to find out whether the addresses change with the host's interfaces. If they
// do, call [Now] after every change; otherwise call [Fixed] once.
package listenaddr

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// Follows reports whether interfaces and addresses that appear after the start are served
// too. They are with --bind-dynamic, and with lists of interfaces or addresses unless
// --bind-interfaces is given.
func Follows(l *options.Listen) bool {
	lists := len(l.Interfaces) + len(l.ExceptInterfaces) + len(l.Addresses)
	return l.BindDynamic || lists > 0 && !l.BindInterfaces
}

// BindsLater reports whether addresses may have to be bound after the start, provided that
// every listed address can be bound at the start.
func BindsLater(l *options.Listen) bool {
	return l.BindDynamic || Follows(l) && len(l.Interfaces)+len(l.ExceptInterfaces) > 0
}

// Fixed returns the addresses for a configuration that does not follow changes: the wildcard
// addresses or, with --bind-interfaces, each address separately. It returns an error if an
// interface in the options does not exist.
func Fixed(l *options.Listen, list netif.List) ([]netip.Addr, error) {
	if !l.BindInterfaces {
		return netif.Wildcards(), nil
	}
	if missing := Missing(l, list); len(missing) > 0 {
		return nil, fmt.Errorf("unknown interface %s", missing[0])
	}
	addrs := selected(l, list)
	if len(addrs) == 0 {
		return nil, errors.New("the options exclude every interface; there is nothing to listen on")
	}
	return addrs, nil
}

// Now returns the addresses for a configuration that follows changes. They include those of
// --listen-address that no interface has: it may be possible to bind them nevertheless
// (127.0.0.2, or an address with a local route), or later.
func Now(l *options.Listen, list netif.List) []netip.AddrPort {
	addrs := selected(l, list)
	ports := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		ports[i] = netip.AddrPortFrom(addr, l.Port)
	}
	return ports
}

// selected returns the addresses that the lists select, those of --listen-address first. As in
// dnsmasq, with a list of addresses only these are selected unless there is a list of
// interfaces too; a list of interfaces includes lo; and --except-interface takes precedence.
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
			continue // it is in the list with its zone
		case excludes(excluded, addr):
			continue
		}
		listed = append(listed, addr)
	}
	return append(listed, addrs...)
}

// excludes reports whether an address belongs to an excluded interface, or is a loopback
// address while lo is excluded.
func excludes(excluded []netip.Addr, addr netip.Addr) bool {
	return slices.ContainsFunc(excluded, func(a netip.Addr) bool {
		return a == addr || a.WithZone("") == addr || a.IsLoopback() && addr.IsLoopback()
	})
}

// Missing returns the patterns of --interface that match no interface.
func Missing(l *options.Listen, list netif.List) []string {
	var missing []string
	for _, pattern := range l.Interfaces {
		if !slices.ContainsFunc(list, func(i netif.Interface) bool { return netif.Match(pattern, i.Name) }) {
			missing = append(missing, pattern)
		}
	}
	return missing
}
