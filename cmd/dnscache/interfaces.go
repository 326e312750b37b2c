package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

// follows reports whether something depends on the addresses of interfaces, so
// that their changes have to be watched.
func follows(o *options.Options) bool {
	l := &o.Local
	return o.Listen.BindDynamic || o.Listen.LocaliseQueries || len(l.InterfaceNames) > 0 ||
		slices.ContainsFunc(l.DomainRanges, func(r options.DomainRange) bool { return r.Interface != "" })
}

// interfaces are those that are there now.
type interfaces []iface

// networks returns the addresses of an interface with the bits of their
// networks.
func (list interfaces) networks(name string) []netip.Prefix {
	for _, i := range list {
		if i.name == name {
			return i.networks
		}
	}
	return nil
}

// hosts are the names of --interface-name and --dynamic-host now.
func (list interfaces) hosts(l *options.Local) []local.Host {
	var out []local.Host
	for i := range l.InterfaceNames {
		n := &l.InterfaceNames[i]
		out = append(out, local.Host{
			Names: nameList(n.Name), Addrs: n.Addrs(list.networks(n.Interface)),
			Source: configSource, Interface: true,
		})
	}
	return out
}

// near are the networks for --localise-queries.
func (list interfaces) near(l *options.Listen) []netip.Prefix {
	if !l.LocaliseQueries {
		return nil
	}
	var all []netip.Prefix
	for _, i := range list {
		all = append(all, i.networks...)
	}
	return all
}

// readInterfaces takes the interfaces that are there now and reports whether
// they differ from those before.
func (a *app) readInterfaces() (changed bool) {
	list, err := systemInterfaces()
	if err != nil {
		a.logger.Warn("listing the interfaces", "error", err)
		return false
	}
	changed = !reflect.DeepEqual(a.interfaces, interfaces(list))
	a.interfaces = list
	return changed
}

// followInterfaces applies a change of the interfaces: to the addresses that
// are listened on, and to local data.
func (a *app) followInterfaces() {
	changed := a.readInterfaces()
	if a.options.Listen.BindDynamic && (changed || a.bindTries > 0) {
		a.rebind()
	}
	if changed {
		a.apply()
	}
}

// quietTries is how often an address is tried, once a second, before it is
// logged that it cannot be bound: an IPv6 address is not there before the
// network has agreed to it.
const quietTries = 5

// rebind listens on the addresses that --bind-dynamic means now.
func (a *app) rebind() {
	added, removed, err := a.listener.Update(dynamicAddrs(&a.options.Listen, a.interfaces))
	for _, addr := range added {
		a.log.printf("listening on %s: %s port %d", a.interfaces.of(addr.Addr()), addr.Addr(), addr.Port())
	}
	for _, addr := range removed {
		a.log.printf("stopped listening on %s port %d", addr.Addr(), addr.Port())
	}
	if err == nil {
		a.bindTries = 0
	} else if a.bindTries++; a.bindTries == quietTries {
		a.log.printf("warning: %v", err)
	}
}

// of names the interface with an address.
func (list interfaces) of(addr netip.Addr) string {
	for _, i := range list {
		if slices.Contains(i.addrs, addr) {
			return i.name
		}
	}
	return "no interface"
}

// dynamicAddrs are the addresses to listen on now. Options may name interfaces
// and addresses that are not there yet.
func dynamicAddrs(l *options.Listen, list interfaces) []netip.AddrPort {
	everything := len(l.Interfaces) == 0 && len(l.Addresses) == 0
	var addrs []netip.AddrPort
	for _, i := range list {
		matches := func(pattern string) bool { return matchInterface(pattern, i.name) }
		if slices.ContainsFunc(l.ExceptInterfaces, matches) {
			continue
		}
		wanted := everything || slices.ContainsFunc(l.Interfaces, matches) || len(l.Interfaces) > 0 && i.name == "lo"
		for _, addr := range i.addrs {
			if wanted || slices.Contains(l.Addresses, addr) || slices.Contains(l.Addresses, addr.WithZone("")) {
				addrs = append(addrs, netip.AddrPortFrom(addr, l.Port))
			}
		}
	}
	// Addresses such as 127.0.0.2 stand on no interface.
	for _, addr := range l.Addresses {
		at := netip.AddrPortFrom(addr, l.Port)
		if (addr.IsLoopback() || addr.IsUnspecified()) && !slices.Contains(addrs, at) {
			addrs = append(addrs, at)
		}
	}
	return addrs
}

// missingInterfaces are the names of --interface that fit no interface.
func missingInterfaces(l *options.Listen, list interfaces) []string {
	var missing []string
	for _, pattern := range l.Interfaces {
		if !slices.ContainsFunc(list, func(i iface) bool { return matchInterface(pattern, i.name) }) {
			missing = append(missing, pattern)
		}
	}
	return missing
}

// lookAround learns what the options need to know of this host.
func (a *app) lookAround() error {
	a.hostName = hostName()
	if c := &a.options.Upstream.Client; c.MAC || c.MACBase64 || c.MACText {
		var err error
		if a.macs, err = newNeighbours(); err != nil {
			return fmt.Errorf("--add-mac: %w", err)
		}
	}
	if !follows(a.options) {
		return nil
	}
	// The watch first, so that no change falls between.
	var err error
	if a.watch, err = newAddressWatch(); err != nil {
		a.log.printf("warning: changes of addresses are seen once a second only: %v", err)
	}
	a.readInterfaces()
	return nil
}
