package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/listenaddr"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/neighbour"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// follows reports whether something depends on the addresses of interfaces, so
// that their changes have to be watched.
func follows(o *options.Options) bool {
	return listenaddr.Follows(&o.Listen) || localFollows(o)
}

// localFollows reports whether local data depends on them.
func localFollows(o *options.Options) bool {
	l := &o.Local
	return o.Listen.LocaliseQueries || len(l.InterfaceNames) > 0 || domainFollows(l)
}

// domainFollows reports whether the domain of an address depends on them.
func domainFollows(l *options.Local) bool {
	return slices.ContainsFunc(l.DomainRanges, func(r options.DomainRange) bool { return r.Interface != "" })
}

// interfaces are those that are there now.
type interfaces netif.List

// networks returns the addresses of an interface with the bits of their
// networks.
func (list interfaces) networks(name string) []netip.Prefix { return netif.List(list).Networks(name) }

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
		all = append(all, i.Networks...)
	}
	return all
}

// readInterfaces takes the interfaces that are there now and reports whether
// they differ from those before.
func (a *app) readInterfaces() (changed bool) {
	list, err := netif.All()
	if err != nil {
		a.logger.Warn("cannot list the network interfaces; keeping the previous list", "error", err)
		return false
	}
	changed = !reflect.DeepEqual(a.interfaces, interfaces(list))
	a.interfaces = interfaces(list)
	return changed
}

// followInterfaces applies a change of the interfaces: to the addresses that
// are listened on, and to local data.
func (a *app) followInterfaces() {
	changed := a.readInterfaces()
	if a.bindTries > 0 || changed && listenaddr.Follows(&a.options.Listen) {
		a.rebind()
	}
	if changed && localFollows(a.options) {
		if l := &a.options.Local; l.ExpandHosts && domainFollows(l) {
			a.loadHosts(true)
		}
		a.apply()
	}
}

// lookAround learns what the options need to know of this host.
func (a *app) lookAround() error {
	a.hostName = hostName()
	if c := &a.options.Upstream.Client; c.MAC || c.MACBase64 || c.MACText {
		var err error
		if a.macs, err = neighbour.New(); err != nil {
			return fmt.Errorf("--add-mac: %w", err)
		}
	}
	if !follows(a.options) {
		return nil
	}
	// The watch first, so that no change falls between.
	var err error
	if a.watch, err = netif.NewWatch(); err != nil {
		a.log.printf("warning: cannot watch the network interfaces, looking at them once a second instead: %v", err)
	}
	a.readInterfaces()
	return nil
}
