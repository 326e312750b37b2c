package stubdomain

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// tables holds the table in use and, while a change is being applied, the next one.
type tables struct{ current, next *table }

// table says which servers names go to. It is a snapshot and never changes.
type table struct {
	domains map[dnsname.Name]*destination
	// list is the same, sorted by name, with fallback at the end.
	list      []*destination
	fallback  *destination // the default servers
	maxLabels int          // largest number of labels of the keys of domains
	delegated bool         // whether any destination is delegated
}

// destination is one stub domain with its servers, or all other names (the
// root) with the default servers.
type destination struct {
	name    dnsname.Name
	servers []dnsconfig.Server // each with an address
	origins []string           // the name by which each of servers was given, or ""
	// reason says why there is no server; "" if there is one.
	reason string
	// delegated says whether the name is below a zone of the cluster or in a reverse zone.
	delegated bool
}

// newTable returns the table for servers and stubs. zones are the cluster's own zones, and
// hosts has the addresses of servers that are given by name.
func newTable(zones []dnsname.Name, servers []dnsconfig.Server, stubs map[dnsname.Name][]dnsconfig.Server, hosts map[dnsname.Name]*namedServer) *table {
	t := &table{
		domains:  make(map[dnsname.Name]*destination, len(stubs)),
		fallback: newDestination(dnsname.Root, servers, nil),
	}
	if len(servers) == 0 {
		t.fallback.reason = "there is no upstream server"
	}
	for _, name := range slices.SortedFunc(maps.Keys(stubs), func(a, b dnsname.Name) int { return cmp.Compare(display(a), display(b)) }) {
		d := newDestination(name, stubs[name], hosts)
		d.delegated = delegable(name, zones)
		t.domains[name] = d
		t.list = append(t.list, d)
		t.maxLabels = max(t.maxLabels, name.Labels())
		t.delegated = t.delegated || d.delegated
	}
	t.list = append(t.list, t.fallback)
	return t
}

// newDestination returns the destination for a stub domain, or for the root.
func newDestination(name dnsname.Name, servers []dnsconfig.Server, hosts map[dnsname.Name]*namedServer) *destination {
	d := &destination{name: name}
	added := map[dnsconfig.Server]bool{}
	add := func(server dnsconfig.Server, origin string) {
		if !added[server] {
			added[server] = true
			d.servers, d.origins = append(d.servers, server), append(d.origins, origin)
		}
	}
	for _, server := range servers {
		if server.Name == "" {
			port := cmp.Or(server.Addr.Port(), dnsconfig.DefaultPort)
			server.Addr = netip.AddrPortFrom(server.Addr.Addr(), port)
			add(server, "")
			continue
		}
		h := hosts[server.Name]
		for _, addr := range h.addrs {
			add(dnsconfig.Server{Addr: netip.AddrPortFrom(addr, dnsconfig.DefaultPort)}, server.String())
		}
		if len(h.addrs) == 0 && d.reason == "" {
			d.reason = "stub domain " + display(name) + ": no address for server " + server.String() + ": " + h.problem()
		}
	}
	if len(d.servers) > 0 {
		d.reason = ""
	}
	return d
}

// delegable reports whether name is below one of the cluster's zones, or in a reverse zone.
func delegable(name dnsname.Name, zones []dnsname.Name) bool {
	below := func(zone dnsname.Name) bool { return name != zone && name.HasSuffix(zone) }
	return slices.ContainsFunc(zones, below) || below(dnsname.InAddrArpa) || below(dnsname.IP6Arpa)
}

// find returns the longest stub domain that a canonical wire name is in, or nil.
func (t *table) find(name []byte) *destination {
	if len(t.domains) == 0 {
		return nil
	}
	var buf [dnsname.MaxLabels]uint8
	offsets := dnsname.Offsets(buf[:0], name)
	for _, off := range offsets[max(0, len(offsets)-t.maxLabels):] {
		if d := t.domains[dnsname.Name(name[off:])]; d != nil {
			return d
		}
	}
	return nil
}

// delegates reports whether a canonical wire name is in a delegated stub domain.
func (t *table) delegates(name []byte) bool {
	if !t.delegated {
		return false
	}
	d := t.find(name)
	return d != nil && d.delegated
}

func (t *table) route(name []byte) skydns.Route {
	switch d := t.find(name); {
	case d == nil && t.fallback.reason != "":
		return skydns.Route{Kind: skydns.RouteNobody, Reason: t.fallback.reason}
	case d == nil:
		return skydns.Route{Kind: skydns.RouteDefault}
	case d.reason != "":
		return skydns.Route{Kind: skydns.RouteUnavailable, Reason: d.reason}
	}
	return skydns.Route{Kind: skydns.RouteStub}
}

// upstreamRoutes returns the destinations as routes, in a fixed order. Stub domains without
// a server that has an address are Local: no server is asked.
func (t *table) upstreamRoutes() []upstream.Route {
	var list []upstream.Route
	for _, d := range t.list {
		// Other servers must not be asked for names in a domain whose servers have no
		// address.
		route := upstream.Route{Local: len(d.servers) == 0}
		if route.Local && (d.reason == "" || d == t.fallback) {
			continue
		}
		if d != t.fallback {
			route.Domain = dnsname.Domain{Match: dnsname.MatchSuffix, Name: d.name}
		}
		for _, s := range d.servers {
			route.Servers = append(route.Servers, upstream.Server{Addr: s.Addr, TLS: upstream.TLS{On: s.TLS, Name: s.TLSName}})
		}
		list = append(list, route)
	}
	return list
}

// Destination is a stub domain, or all other names, with its upstream servers.
type Destination struct {
	// Domain is the stub domain, without a final dot; "" stands for all other names.
	Domain string
	// Servers are the servers as they were configured, with their addresses.
	Servers []string
	// Reason says why there is no server; "" if there is one.
	Reason string
}

// describe returns the destination for people.
func (d *destination) describe() Destination {
	out := Destination{Reason: d.reason}
	if d.name != dnsname.Root {
		out.Domain = display(d.name)
	}
	for i, s := range d.servers {
		text := s.String()
		if d.origins[i] != "" {
			text += " (" + d.origins[i] + ")"
		}
		out.Servers = append(out.Servers, text)
	}
	return out
}

// String describes the destination in one line.
func (d Destination) String() string {
	what := "other names"
	if d.Domain != "" {
		what = "stub domain " + d.Domain
	}
	if d.Reason != "" {
		return what + ": no server (" + strings.TrimPrefix(d.Reason, what+": ") + ")"
	}
	return what + ": " + strings.Join(d.Servers, ", ")
}
