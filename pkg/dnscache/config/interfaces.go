package config

import (
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/listenaddr"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// Follows reports whether any option depends on the addresses of network interfaces, so that
// the program must watch them.
func Follows(o *options.Options) bool {
	return listenaddr.Follows(&o.Listen) || LocalFollows(o)
}

// LocalFollows reports whether local data depends on the addresses of network interfaces.
func LocalFollows(o *options.Options) bool {
	l := &o.Local
	return o.Listen.LocaliseQueries || len(l.InterfaceNames) > 0 || DomainFollows(l)
}

// DomainFollows reports whether an address's domain (--domain) depends on the addresses of
// network interfaces.
func DomainFollows(l *options.Local) bool {
	return slices.ContainsFunc(l.DomainRanges, func(r options.DomainRange) bool { return r.Interface != "" })
}

// interfaceHosts returns the names of --interface-name and --dynamic-host with the current
// addresses of their interfaces.
func interfaceHosts(list netif.List, l *options.Local) []local.HostEntry {
	var out []local.HostEntry
	for i := range l.InterfaceNames {
		n := &l.InterfaceNames[i]
		out = append(out, local.HostEntry{
			Names: []dnsname.Name{n.Name}, Addrs: n.Addrs(list.Networks(n.Interface)),
			Source: querylog.ConfigSource, Interface: true,
		})
	}
	return out
}

// near returns the host's networks, by which --localise-queries chooses addresses. It returns
// nil without that option.
func near(list netif.List, l *options.Listen) []netip.Prefix {
	if !l.LocaliseQueries {
		return nil
	}
	var all []netip.Prefix
	for _, i := range list {
		all = append(all, i.Networks...)
	}
	return all
}
