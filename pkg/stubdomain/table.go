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

// view is the table in use and, while a change takes effect, the next one.
type view struct{ current, next *table }

// table is an immutable snapshot of where names go.
type table struct {
	domains map[dnsname.Name]*destination
	// list is the same, sorted by name, with the default servers at the end.
	list      []*destination
	fallback  *destination
	maxLabels int  // of the keys of domains
	delegated bool // some destination is
}

// destination is one stub domain with its servers, or all other names (the
// root) with the default servers.
type destination struct {
	name    dnsname.Name
	servers []dnsconfig.Server // with an address each
	origins []string           // for each of servers the name it was given by, or ""
	// reason says why there is no server; "" if there is one.
	reason string
	// delegated: the name lies below a zone of the cluster or in a reverse zone.
	delegated bool
}

// newTable works out where names go. zones are the cluster's own, and hosts has the addresses of servers that are
// given by name.
func newTable(zones []dnsname.Name, servers []dnsconfig.Server, stubs map[dnsname.Name][]dnsconfig.Server, hosts map[dnsname.Name]*host) *table {
	t := &table{
		domains:  make(map[dnsname.Name]*destination, len(stubs)),
		fallback: &destination{name: dnsname.Root, servers: servers},
	}
	if len(servers) == 0 {
		t.fallback.reason = "there is no server to ask"
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

func newDestination(name dnsname.Name, servers []dnsconfig.Server, hosts map[dnsname.Name]*host) *destination {
	d := &destination{name: name}
	add := func(server dnsconfig.Server, origin string) {
		if !slices.Contains(d.servers, server) {
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

// The reverse zones of both families.
const (
	reverse4 dnsname.Name = "\x07in-addr\x04arpa\x00"
	reverse6 dnsname.Name = "\x03ip6\x04arpa\x00"
)

// delegable reports whether name lies below one of the cluster's zones or of the
// reverse zones.
func delegable(name dnsname.Name, zones []dnsname.Name) bool {
	below := func(zone dnsname.Name) bool { return name != zone && name.HasSuffix(zone) }
	return slices.ContainsFunc(zones, below) || below(reverse4) || below(reverse6)
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

// upstreamRoutes lists the destinations in a fixed order. Stub domains none of
// whose servers has an address are Local: nobody is asked.
func (t *table) upstreamRoutes() []upstream.Route {
	var list []upstream.Route
	for _, d := range t.list {
		// Names of a domain whose servers have no address must not go to others.
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

// serverTexts lists the servers as people know them.
func (d *destination) serverTexts() []string {
	var out []string
	for i, s := range d.servers {
		text := s.String()
		if i < len(d.origins) && d.origins[i] != "" {
			text += " (" + d.origins[i] + ")"
		}
		out = append(out, text)
	}
	return out
}

// String tells where the names go.
func (d *destination) String() string {
	what := "other names"
	if d.name != dnsname.Root {
		what = "stub domain " + display(d.name)
	}
	if d.reason != "" {
		return what + ": no server (" + strings.TrimPrefix(d.reason, what+": ") + ")"
	}
	return what + ": " + strings.Join(d.serverTexts(), ", ")
}
